//! The group rules, driven through the public face of a shard by a small stand-in for the runtime.

mod admin;
mod driver;
mod expiry;
mod failures;
mod join;
mod membership;
mod offsets;
mod properties;
mod recovery;
mod static_members;
mod sync;
