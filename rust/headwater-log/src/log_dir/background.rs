//! What a directory does by itself: flush, checkpoint, retain, empty deleted folders.
//!
//! Two tasks per directory, however many logs it has. Both hold the directory weakly, so that dropping it (a crash, in
//! simulations) ends them.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use headwater_env::{Disk, Env};
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use super::Shared;
use crate::error::StorageError;

/// Starts the tasks.
pub(super) fn start<E: Env>(shared: &Arc<Shared<E>>) {
    let flusher = Arc::clone(&shared.flusher);
    let flushing = shared.env.spawn("log-flusher", flusher.run(shared.env.clone()));
    let housekeeping = shared.env.spawn("log-housekeeping", housekeeping(Housekeeping::of(shared)));
    shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend([flushing, housekeeping]);
}

/// Why the housekeeping woke up.
enum Woken {
    Checkpoint,
    Retention,
    Failed,
    Stop,
}

/// What the task needs while it waits, without keeping the directory alive.
struct Housekeeping<E: Env> {
    shared: Weak<Shared<E>>,
    env: E,
    stop: Arc<Notify>,
    failed: watch::Receiver<bool>,
    checkpoint_interval: Duration,
    retention_interval: Duration,
}

impl<E: Env> Housekeeping<E> {
    fn of(shared: &Arc<Shared<E>>) -> Housekeeping<E> {
        Housekeeping {
            shared: Arc::downgrade(shared),
            env: shared.env.clone(),
            stop: Arc::clone(&shared.stop),
            failed: shared.health.watch(),
            checkpoint_interval: shared.options.checkpoint_interval,
            retention_interval: shared.options.retention_check_interval,
        }
    }
}

async fn housekeeping<E: Env>(mut task: Housekeeping<E>) {
    let env = task.env;
    let mut failure_told = false;
    let (mut checkpoint_at, mut retention_at) =
        (env.now() + task.checkpoint_interval, env.now() + task.retention_interval);
    loop {
        let woken = tokio::select! {
            biased;
            () = task.stop.notified() => Woken::Stop,
            Ok(_) = task.failed.wait_for(|failed| *failed), if !failure_told => Woken::Failed,
            () = sleep_until(checkpoint_at) => Woken::Checkpoint,
            () = sleep_until(retention_at) => Woken::Retention,
        };
        let Some(shared) = task.shared.upgrade() else { return };
        match woken {
            Woken::Stop => return,
            Woken::Failed => {
                failure_told = true;
                let logs: Vec<_> = shared.logs().values().cloned().collect();
                logs.iter().for_each(|log| log.notify_failed());
            }
            Woken::Checkpoint => {
                env.blocking(move || {
                    shared.checkpoint_logs();
                    report("checkpoints", shared.update_checkpoints(true));
                })
                .await;
                checkpoint_at = env.now() + task.checkpoint_interval;
            }
            Woken::Retention => {
                let now_ms = env.wall_ms();
                env.blocking(move || shared.apply_retention(now_ms)).await;
                retention_at = env.now() + task.retention_interval;
            }
        }
    }
}

/// Empties a folder that was renamed out of the way; a crash in between leaves it for the next start.
pub(super) fn remove_folder<E: Env>(shared: &Arc<Shared<E>>, folder: PathBuf) {
    let env = shared.env.clone();
    let removal = shared.env.blocking(move || {
        if let Err(error) = env.disk().remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "deleted folder not removed, the next start tries again");
        }
    });
    // The work was handed over already; the task only waits for it, so that a panic in it is not lost silently.
    shared.env.spawn("log-delete", removal);
}

impl<E: Env> Shared<E> {
    pub(super) fn checkpoint_logs(&self) {
        let logs: Vec<_> = self.logs().values().cloned().collect();
        for log in logs {
            report("index checkpoint", log.checkpoint());
        }
    }

    pub(super) fn apply_retention(&self, now_ms: i64) {
        let logs: Vec<_> = self.logs().values().cloned().collect();
        for log in logs {
            match log.apply_retention(now_ms) {
                Ok(retired) if retired.segments > 0 => tracing::info!(
                    partition = %log.identity().topic_partition(), retired.segments, retired.bytes, "segments deleted"
                ),
                other => report("retention", other.map(|_| ())),
            }
        }
    }
}

/// Passes come again, so an error is only reported; an offline directory was when it failed.
fn report(what: &str, outcome: Result<(), StorageError>) {
    match outcome {
        Ok(()) | Err(StorageError::Closed | StorageError::Offline(_)) => {}
        Err(error) => tracing::warn!(%error, "{what}"),
    }
}
