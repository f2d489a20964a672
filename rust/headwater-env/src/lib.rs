//! The only door to the world: clock, timers, tasks, blocking work, files, maps, sockets, randomness.
//!
//! Two sides stand behind the traits here. [`real`] is the machine. [`sim`] is a world made from one seed: its disk
//! forgets what was not synced, its clock is tokio's paused clock, its tasks interleave as the seed says.
//! Nothing outside this crate calls `std::fs`, `SystemTime::now`, `tokio::spawn` and the like (clippy enforces it).
//!
//! ```text
//!            Env ── disk() ──► Disk ── open() ──► DiskFile ── map() ──► FileMap
//!             │                 └── lock() ──► DirLock
//!             ├── spawn(), blocking() ──► TaskHandle
//!             ├── wall_ms(), now(), fill_random()
//!    RealEnv ─┴─ SimEnv            net: TCP and sendfile (real), frames in memory (both)
//! ```
//!
//! Timers and `tokio::sync` are used directly by everyone: under simulation the runtime's clock is paused, so they
//! cost no time. Platform differences (Linux, macOS) end here. Deliberately absent: any notion of a log, a message
//! or a broker, and a simulated network between machines.

pub mod conformance;
pub mod crashsafe;
mod disk;
mod env;
pub mod net;
pub mod real;
pub mod sim;
mod task;

pub use disk::{DirEntry, DirLock, Disk, DiskFile, FileMap, LockError, LockHolder, OpenMode};
pub use env::Env;
pub use task::{TaskError, TaskHandle};
