//! The broker through its protocol, over TCP and memory, on the real disk and on the simulated one.

mod client;
mod configs;
mod fetch;
mod hostile;
mod local;
mod metadata;
mod network;
mod produce;
mod restart;
mod simulated;
mod support;
mod topics;
mod versions;
