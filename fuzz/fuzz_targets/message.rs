//! Feeds `ferry_runtime::fuzz::message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_runtime::fuzz::message(data));
