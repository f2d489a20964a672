//! Runs `headwater_fuzz::log_recovery`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::log_recovery(bytes));
