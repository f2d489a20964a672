//! [`TaskHandle`]: what remains in the hand of whoever spawned a task.
//!
//! Dropping it detaches, unlike some task types; owners that want the task gone say `abort`.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{AbortHandle, JoinHandle};

/// A running task. Awaiting it gives its result; dropping it lets the task run on.
#[derive(Debug)]
pub struct TaskHandle<T> {
    name: &'static str,
    join: JoinHandle<T>,
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked: a bug, to be reported.
    #[error("task `{name}` panicked: {message}")]
    Panicked {
        /// The name given to `spawn`.
        name: &'static str,
        /// What the panic said, if it was text.
        message: String,
    },
    /// It was aborted, or its runtime was shut down.
    #[error("task `{name}` was cancelled")]
    Cancelled {
        /// The name given to `spawn`.
        name: &'static str,
    },
}

impl<T> TaskHandle<T> {
    pub(crate) fn new(name: &'static str, join: JoinHandle<T>) -> Self {
        Self { name, join }
    }

    /// The name given to `spawn`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the task to stop at its next wait. Awaiting the handle afterwards tells when it is gone.
    pub fn abort(&self) {
        self.join.abort();
    }

    /// Whether the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.join.is_finished()
    }

    pub(crate) fn abort_handle(&self) -> AbortHandle {
        self.join.abort_handle()
    }
}

impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        Pin::new(&mut self.join).poll(context).map(|outcome| {
            outcome.map_err(|error| match error.try_into_panic() {
                Ok(payload) => TaskError::Panicked { name, message: panic_message(payload.as_ref()) },
                Err(_) => TaskError::Cancelled { name },
            })
        })
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is not text".to_owned()
    }
}
