//! Feeds `ferry_registry::fuzz::refusal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_registry::fuzz::refusal(data));
