//! Feeds `ferry_runtime::fuzz::seccomp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_runtime::fuzz::seccomp(data));
