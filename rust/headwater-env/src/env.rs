//! [`Env`]: everything a component may ask of the world, as one type parameter.
//!
//! Static dispatch throughout, since `wall_ms` and the disk stand on the hot path. Timers are absent on purpose:
//! `tokio::time` obeys the paused clock of a simulation by itself.

use crate::disk::Disk;
use crate::task::TaskHandle;

/// The world: a clock, a disk, tasks and randomness. Cheap to clone; clones are the same world.
pub trait Env: Clone + Send + Sync + 'static {
    /// The disk of this world.
    type Disk: Disk;

    /// The disk. All of its calls are synchronous; see [`Env::blocking`] for those that may take long.
    fn disk(&self) -> &Self::Disk;

    /// Wall-clock time in milliseconds since the Unix epoch. May jump backwards.
    fn wall_ms(&self) -> i64;

    /// Monotonic time, for durations and deadlines. Virtual under simulation.
    fn now(&self) -> tokio::time::Instant;

    /// Starts a task. It ends only by itself or by [`TaskHandle::abort`]; dropping the handle leaves it running.
    ///
    /// `name` appears in [`TaskError`](crate::TaskError). Works from any thread, inside or outside a runtime.
    fn spawn<F>(&self, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Hands `work` to the pool of threads that may block, at once; the future waits for its result.
    ///
    /// The work runs to its end even if the future is dropped. A panic in it resumes in whoever awaits. Under
    /// simulation it runs on the one thread there is, some polls later.
    fn blocking<F, T>(&self, work: F) -> impl Future<Output = T> + Send + 'static
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// Fills `buffer` with random bytes: fit for secrets on the real side, from the seed under simulation.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    fn fill_random(&self, buffer: &mut [u8]);

    /// A random number from the same source.
    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}
