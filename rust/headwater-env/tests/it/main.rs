//! Tests of the two sides of the world: the same laws for both disks, crashes of the simulated one, tasks under a
//! seed, locks and sockets across processes.

#![allow(clippy::disallowed_methods, reason = "tests look at the machine past the crate under test")]

mod crash;
mod disks;
mod faults;
mod fork;
#[cfg(target_os = "linux")]
mod local;
mod lock;
mod memory;
mod sendfile;
mod tasks;
