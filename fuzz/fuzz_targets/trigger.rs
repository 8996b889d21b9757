//! Feeds `ferry_build::fuzz::trigger`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_build::fuzz::trigger(data));
