//! One file of a context in the words of fsutil's `types.Stat`: modes as Go's `fs.FileMode`, owners dropped.

use std::collections::HashMap;

use bollard_buildkit_proto::fsutil::types::Stat;
use rustix::fs::{FileType, Stat as Metadata};

const DIRECTORY: u32 = 1 << 31;
const SYMBOLIC_LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHARACTER_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;

/// One file of a context.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::build) struct Entry {
    /// Path below the context, names joined by `/`.
    pub(in crate::build) path: String,
    /// Whether it has content to ask for.
    pub(in crate::build) is_regular: bool,
    stat: Stat,
}

impl Entry {
    /// Nothing for what no image can hold: sockets.
    pub(super) fn new(path: String, metadata: &Metadata, link: Option<String>) -> Option<Self> {
        let kind = FileType::from_raw_mode(metadata.st_mode);
        let special = match kind {
            FileType::RegularFile => 0,
            FileType::Directory => DIRECTORY,
            FileType::Symlink => SYMBOLIC_LINK,
            FileType::Fifo => NAMED_PIPE,
            FileType::BlockDevice => DEVICE,
            FileType::CharacterDevice => DEVICE | CHARACTER_DEVICE,
            _ => return None,
        };
        let is_regular = kind == FileType::RegularFile;
        let is_device = special & DEVICE != 0;
        let stat = Stat {
            path: path.clone(),
            mode: special | permissions(metadata.st_mode),
            // An image must not depend on who builds it.
            uid: 0,
            gid: 0,
            size: if is_regular { metadata.st_size } else { 0 },
            mod_time: i64::try_from(metadata.st_mtime_nsec)
                .unwrap_or(0)
                .saturating_add(metadata.st_mtime.saturating_mul(1_000_000_000)),
            linkname: link.unwrap_or_default(),
            devmajor: if is_device {
                i64::from(rustix::fs::major(metadata.st_rdev))
            } else {
                0
            },
            devminor: if is_device {
                i64::from(rustix::fs::minor(metadata.st_rdev))
            } else {
                0
            },
            xattrs: HashMap::new(),
        };
        Some(Self { path, is_regular, stat })
    }

    /// As it is sent.
    pub(in crate::build) fn stat(&self) -> Stat {
        self.stat.clone()
    }

    /// A further name of a file that was sent before.
    pub(super) fn linked_to(mut self, first: String) -> Self {
        self.stat.linkname = first;
        self.stat.size = 0;
        self
    }
}

fn permissions(mode: u32) -> u32 {
    let bit = |unix: u32, go: u32| if mode & unix == 0 { 0 } else { go };
    (mode & 0o777) | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_modes_become_go_s() {
        for (unix, go) in [
            (0o644, 0o644),
            (0o4755, SETUID | 0o755),
            (0o2755, SETGID | 0o755),
            (0o1777, STICKY | 0o777),
        ] {
            assert_eq!(permissions(unix), go, "{unix:o}");
        }
    }
}
