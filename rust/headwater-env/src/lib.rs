//! The only door to the world: clock, timers, tasks, blocking work, files, maps, sockets, randomness.
//!
//! Two sides stand behind the traits here. [`real`] is the machine. [`sim`] is a world made from one seed: its disk
//! forgets what was not synced, its clock is tokio's paused clock, its tasks interleave as the seed says.
//! Nothing outside this crate calls `std::fs`, `SystemTime::now`, `tokio::spawn` and the like (clippy enforces it).
