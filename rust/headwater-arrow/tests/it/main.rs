//! Decoding, scanning and exporting, over memory, real logs and simulated disks.

mod decode;
mod export;
mod hostile;
mod logs;
mod model;
mod scan;
mod typed;
