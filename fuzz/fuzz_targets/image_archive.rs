//! Feeds `ferry_store::fuzz::image_archive`, with a folder each time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ferry_store::fuzz::image_archive(data, folder.path());
});
