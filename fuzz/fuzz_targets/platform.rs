//! Feeds `ferry_oci::fuzz::platform`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_oci::fuzz::platform(data));
