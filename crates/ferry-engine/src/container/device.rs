//! Devices of the host: what kind a node is, and its numbers.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// What a device node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) kind: Kind,
    pub(super) major: u32,
    pub(super) minor: u32,
}

/// Which of the two tables of devices it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Block,
    Character,
}

/// Looks at a node of the host, through links.
pub(super) fn look(path: &Path) -> std::io::Result<Number> {
    let found = path.metadata()?;
    let kind = match found.file_type() {
        kind if kind.is_block_device() => Kind::Block,
        kind if kind.is_char_device() => Kind::Character,
        _ => return Err(std::io::Error::other("not a device node")),
    };
    Ok(Number {
        kind,
        major: rustix::fs::major(found.rdev()),
        minor: rustix::fs::minor(found.rdev()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_looked_at() {
        let null = look(Path::new("/dev/null")).expect("every host has it");
        assert_eq!((null.kind, null.major, null.minor), (Kind::Character, 1, 3));
        assert!(look(Path::new("/")).is_err());
    }
}
