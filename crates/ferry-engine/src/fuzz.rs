//! What fuzzers feed: build contexts that come as a tar.

use std::path::Path;

use crate::build::context::Contexts;

/// The tar of a build context, received below `folder`, which is empty.
pub fn context_archive(data: &[u8], folder: &Path) {
    let contexts = Contexts::open(folder).expect("a folder for contexts");
    match contexts.receive_archive(data) {
        Ok(tree) => assert!(tree.path().starts_with(folder)),
        Err(error) => drop(error.to_string()),
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("context_archive", |data| {
            context_archive(data, tempfile::tempdir().unwrap().path())
        });
    }
}
