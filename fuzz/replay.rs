//! Feeds a fuzz target the inputs that are kept for it; a part of each crate's unit tests.

use std::path::Path;

/// Runs `target` on all files in `fuzz/corpus/<name>`; the last path on stderr is the one that panicked.
pub(super) fn replay(name: &str, target: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut count = 0;
    for file in files {
        let path = file.expect("the corpus can be read").path();
        eprintln!("{}", path.display());
        target(&std::fs::read(&path).expect("an input can be read"));
        count += 1;
    }
    assert!(count > 0, "{} holds no input", folder.display());
}
