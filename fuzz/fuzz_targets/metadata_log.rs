//! Runs `headwater_fuzz::metadata_log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::metadata_log(bytes));
