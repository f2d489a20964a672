//! Runs `headwater_fuzz::group_records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| headwater_fuzz::group_records(bytes));
