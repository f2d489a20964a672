//! Runs `headwater_fuzz::record_batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::record_batch(bytes));
