//! Feeds `ferry_oci::fuzz::document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_oci::fuzz::document(data));
