//! A world made from one seed.
//!
//! [`run`] gives a scenario a single-threaded runtime with a paused clock and a [`SimEnv`]. Time passes only when
//! every task waits, and then at once. Tasks interleave as the seed says: a poll is now and then put off for some
//! rounds, which explores orders that a fair scheduler never shows. The disk is [`SimDisk`].
//!
//! What a scenario must avoid for a seed to repeat: `tokio::select!` without `biased`, iteration over a `HashMap`
//! with the standard hasher, threads. Deliberately absent: a network between machines; machines of one scenario
//! talk through [`crate::net::MemoryNetwork`].

mod crash;
mod disk;
mod faults;
mod schedule;
mod world;

use std::panic;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use disk::{SimDisk, SimFile};
pub use faults::{Counters, Fault, Operation};

use crate::env::Env;
use crate::task::TaskHandle;
use schedule::{Interleaved, Schedule, yield_times};

/// What [`Env::wall_ms`] says at the start of a scenario: 2026-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// Virtual time after which a scenario that has not ended is taken to hang.
pub const SCENARIO_TIME_MAX: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A simulated machine: a disk, a clock, and the tasks that run on it. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct SimEnv {
    machine: Arc<Machine>,
}

#[derive(Debug)]
struct Machine {
    handle: Handle,
    started: Instant,
    skew_ms: AtomicI64,
    disk: SimDisk,
    tasks: Mutex<Vec<AbortHandle>>,
    random: Mutex<SmallRng>,
    schedule: Schedule,
}

/// Runs a scenario to its end and returns its result. Everything random in it follows from `seed`. Tasks that still
/// run when the scenario ends are dropped.
///
/// # Panics
/// If the scenario panics (the seed is printed), or hangs for [`SCENARIO_TIME_MAX`] of virtual time.
pub fn run<F, S>(seed: u64, scenario: F) -> S::Output
where
    F: FnOnce(SimEnv) -> S,
    S: Future,
{
    let _announce = AnnounceSeed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing from the system");
    runtime.block_on(async {
        let env = SimEnv::new(seed);
        let schedule = env.machine.schedule.clone();
        let scenario = Interleaved::new(scenario(env), schedule);
        match tokio::time::timeout(SCENARIO_TIME_MAX, scenario).await {
            Ok(output) => output,
            Err(_) => {
                panic!("the scenario hangs: nothing ended it within {SCENARIO_TIME_MAX:?} of virtual time")
            }
        }
    })
}

impl SimEnv {
    /// A machine with an empty disk, in the runtime this is called in. [`run`] makes one; use it directly only to
    /// simulate the disk and the scheduling within a runtime of your own.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "the simulated time counts from here")]
    pub fn new(seed: u64) -> Self {
        let mut seeds = SmallRng::seed_from_u64(seed);
        Self {
            machine: Arc::new(Machine {
                handle: Handle::current(),
                started: Instant::now(),
                skew_ms: AtomicI64::new(0),
                disk: SimDisk::new(seeds.next_u64()),
                tasks: Mutex::default(),
                random: Mutex::new(SmallRng::seed_from_u64(seeds.next_u64())),
                schedule: Schedule::new(seeds.next_u64()),
            }),
        }
    }

    /// Another machine of the same scenario: same clock, an empty disk of its own, tasks of its own.
    pub fn new_machine(&self) -> Self {
        let disk = SimDisk::new(self.random_u64());
        self.successor(disk)
    }

    /// Cuts the power: every task spawned through this machine is dropped where it waits, with the disk already
    /// dead, so that destructors achieve nothing; then the disk keeps what [`SimDisk::crash`] leaves of it. Returns
    /// the machine that comes back; this one, and what was opened through it, only gives errors from now on.
    ///
    /// Must not be called from a task of this machine.
    pub async fn power_cut(&self) -> Self {
        self.machine.disk.power_off();
        let tasks = std::mem::take(&mut *self.tasks());
        for task in &tasks {
            task.abort();
        }
        while !tasks.iter().all(AbortHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        self.successor(self.machine.disk.crash())
    }

    /// Moves the wall clock away from virtual time by so many milliseconds, for good. Monotonic time is not
    /// touched.
    pub fn set_wall_skew_ms(&self, skew_ms: i64) {
        self.machine.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// A random number below `bound`, for decisions of the scenario itself.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn random_below(&self, bound: u64) -> u64 {
        self.random().random_range(0..bound)
    }

    fn successor(&self, disk: SimDisk) -> Self {
        let seed = self.random_u64();
        let machine = &self.machine;
        Self {
            machine: Arc::new(Machine {
                handle: machine.handle.clone(),
                started: machine.started,
                skew_ms: AtomicI64::new(machine.skew_ms.load(Ordering::Relaxed)),
                disk,
                tasks: Mutex::default(),
                random: Mutex::new(SmallRng::seed_from_u64(seed)),
                schedule: machine.schedule.clone(),
            }),
        }
    }

    fn random(&self) -> MutexGuard<'_, SmallRng> {
        self.machine.random.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.machine.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Env for SimEnv {
    type Disk = SimDisk;

    fn disk(&self) -> &SimDisk {
        &self.machine.disk
    }

    fn wall_ms(&self) -> i64 {
        let elapsed = self.now() - self.machine.started;
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        (EPOCH_MS + self.machine.skew_ms.load(Ordering::Relaxed)).saturating_add(elapsed_ms)
    }

    #[expect(clippy::disallowed_methods, reason = "the paused clock of the runtime")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn spawn<F>(&self, name: &'static str, future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let future = Interleaved::new(future, self.machine.schedule.clone());
        let handle = TaskHandle::new(name, self.machine.handle.spawn(future));
        let mut tasks = self.tasks();
        if tasks.len() == tasks.capacity() {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(handle.abort_handle());
        handle
    }

    fn blocking<F, T>(&self, work: F) -> impl Future<Output = T> + Send + 'static
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (before, after) = (self.machine.schedule.delay(), self.machine.schedule.delay());
        let running = self.spawn("blocking", async move {
            yield_times(before).await;
            // Kept as a value, so that a panic of the work takes the same way as on the real side.
            let outcome = panic::catch_unwind(panic::AssertUnwindSafe(work));
            yield_times(after).await;
            outcome
        });
        async move {
            match running.await {
                Ok(Ok(value)) => value,
                Ok(Err(payload)) => panic::resume_unwind(payload),
                // The power was cut: there will be no value, and this task is about to be dropped.
                Err(_) => std::future::pending().await,
            }
        }
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.random().fill_bytes(buffer);
    }
}

/// Names the seed when a scenario panics, so that it can be run again.
struct AnnounceSeed(u64);

impl Drop for AnnounceSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the scenario failed with seed {}", self.0);
        }
    }
}
