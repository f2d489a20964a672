//! Where each row goes: one topic for all, or the one that the row names.

use std::collections::HashMap;

use super::RecordSink;
use super::error::{RowProblem, SendError};

/// The topics of one sending, each looked up once.
pub(super) enum Topics<T> {
    One(T),
    Named { known: HashMap<Box<str>, T> },
}

/// Why a row has no topic.
pub(super) enum NoTopic<E> {
    Row(RowProblem),
    Sink(E),
}

impl<E> NoTopic<E> {
    pub(super) fn at(self, row: u64) -> SendError<E> {
        match self {
            Self::Row(problem) => SendError::Row { row, problem },
            Self::Sink(source) => SendError::Sink { row, source },
        }
    }
}

impl<T> Topics<T> {
    pub(super) fn named_by_rows() -> Self {
        Self::Named { known: HashMap::new() }
    }

    /// The topic of a row whose column names this one.
    pub(super) fn of<S: RecordSink<Topic = T>>(
        &mut self,
        name: Option<&[u8]>,
        sink: &mut S,
    ) -> Result<&T, NoTopic<S::Error>> {
        let known = match self {
            Self::One(topic) => return Ok(topic),
            Self::Named { known } => known,
        };
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or(NoTopic::Row(RowProblem::NoTopic))?;
        if !known.contains_key(name) {
            known.insert(name.into(), sink.topic(name).map_err(NoTopic::Sink)?);
        }
        known.get(name).ok_or(NoTopic::Row(RowProblem::NoTopic))
    }
}
