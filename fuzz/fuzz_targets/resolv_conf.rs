//! Feeds `ferry_net::fuzz::resolv_conf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ferry_net::fuzz::resolv_conf(data));
