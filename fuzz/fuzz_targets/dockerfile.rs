//! Feeds `ferry_build::fuzz::dockerfile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_build::fuzz::dockerfile(data));
