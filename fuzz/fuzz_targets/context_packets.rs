//! Feeds `ferry_daemon::fuzz::context_packets`, with a folder each time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ferry_daemon::fuzz::context_packets(data, folder.path());
});
