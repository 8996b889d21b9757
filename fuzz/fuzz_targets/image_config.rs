//! Feeds `ferry_oci::fuzz::image_config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_oci::fuzz::image_config(data));
