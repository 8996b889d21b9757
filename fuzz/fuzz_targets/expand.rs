//! Feeds `ferry_build::fuzz::expand`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_build::fuzz::expand(data));
