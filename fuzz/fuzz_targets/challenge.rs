//! Feeds `ferry_registry::fuzz::challenge`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_registry::fuzz::challenge(data));
