//! Feeds `ferry_engine::fuzz::context_archive`, with a folder each time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ferry_engine::fuzz::context_archive(data, folder.path());
});
