//! Where the laws are tried: the machine, where a crash is a stop without closing, or the simulated one, where power
//! goes and everything that was not synced with it.

use headwater_env::Env;
use headwater_env::real::RealEnv;
use headwater_env::sim::SimEnv;

/// A machine that can crash.
pub trait World {
    /// Its environment.
    type Env: Env;

    /// The environment; another one after a crash.
    fn env(&self) -> Self::Env;

    /// Has the power go at the `changes`th change to the disk from now on; 0 takes that back. May do nothing.
    fn crash_after(&self, changes: u64);

    /// Whether the power is on.
    fn is_powered(&self) -> bool;

    /// Crashes and comes back.
    fn crash(&mut self) -> impl Future<Output = ()>;
}

/// The machine this runs on. What was written survives its crashes, synced or not.
pub struct RealWorld(RealEnv);

impl RealWorld {
    /// The machine.
    pub fn new() -> RealWorld {
        RealWorld(RealEnv::new())
    }
}

impl Default for RealWorld {
    fn default() -> RealWorld {
        RealWorld::new()
    }
}

impl World for RealWorld {
    type Env = RealEnv;

    fn env(&self) -> RealEnv {
        self.0.clone()
    }

    fn crash_after(&self, _changes: u64) {}

    fn is_powered(&self) -> bool {
        true
    }

    async fn crash(&mut self) {
        // Work that was handed to other threads comes to its end, as it would not in a process that died.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A simulated machine.
pub struct SimWorld(SimEnv);

impl SimWorld {
    /// This machine.
    pub fn new(env: SimEnv) -> SimWorld {
        SimWorld(env)
    }
}

impl World for SimWorld {
    type Env = SimEnv;

    fn env(&self) -> SimEnv {
        self.0.clone()
    }

    fn crash_after(&self, changes: u64) {
        self.0.disk().crash_at_op(changes);
    }

    fn is_powered(&self) -> bool {
        self.0.disk().is_powered()
    }

    async fn crash(&mut self) {
        self.0 = self.0.power_cut().await;
    }
}
