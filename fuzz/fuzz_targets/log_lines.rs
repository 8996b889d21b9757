//! Feeds `ferry_runtime::fuzz::log_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_runtime::fuzz::log_lines(data));
