//! Feeds `ferry_runtime::fuzz::user`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_runtime::fuzz::user(data));
