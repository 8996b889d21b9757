//! Feeds `ferry_store::fuzz::tar`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_store::fuzz::tar(data));
