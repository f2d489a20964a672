//! The Python extension module: thin classes over the Rust crates
