//! Runs `headwater_fuzz::compression`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::compression(bytes));
