//! Writes the seeds of all targets into `corpus/`, and fuzzes nothing. A target like the others only so that it shares
//! their build.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: headwater_fuzz::seeds::write(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))),
    |_bytes: &[u8]| {}
);
