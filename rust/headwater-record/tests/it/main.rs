//! Batches against other implementations, hostile bytes, and the rules for produce.

mod allocation;
mod batches;
mod compression;
mod hostile;
mod model;
mod oracle;
mod validation;
