//! Temporary file systems of a container: `--tmpfs` and `--mount type=tmpfs`.

use std::path::{Path, PathBuf};

use oci_spec::runtime::Mount;
use serde::{Deserialize, Serialize};

/// A file system in memory that lives as long as the container's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path inside.
    pub target: PathBuf,
    /// Options as they were given, such as `size=64m`, in the order that they take effect.
    pub options: Vec<String>,
    /// How it was asked for.
    pub form: TmpfsForm,
}

/// How a tmpfs was asked for, which is how an inspect shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TmpfsForm {
    /// `--tmpfs`.
    Tmpfs,
    /// `--mount type=tmpfs`.
    Mount,
}

/// In force unless an option says otherwise. Source: moby `oci_linux.go`, `withMounts`.
const DEFAULT: &[&str] = &["noexec", "nosuid", "nodev", "rprivate"];

/// Words that a tmpfs may be given. Source: moby `pkg/mount`, less those that make another kind of mount.
const WORDS: &[&str] = &[
    "async",
    "atime",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "private",
    "relatime",
    "ro",
    "rprivate",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "unbindable",
];

/// The file system's own options. Source: tmpfs(5).
const KEYS: &[&str] = &["gid", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];

impl Tmpfs {
    /// The first option that a tmpfs cannot have.
    pub(super) fn unknown_option(&self) -> Option<&str> {
        let is_known = |option: &str| match option.split_once('=') {
            Some((key, value)) => KEYS.contains(&key) && !value.is_empty(),
            None => option.is_empty() || WORDS.contains(&option),
        };
        self.options.iter().map(String::as_str).find(|option| !is_known(option))
    }

    pub(super) fn to_mount(&self) -> Mount {
        let given = self.options.iter().map(String::as_str);
        let options = DEFAULT.iter().copied().chain(given).map(str::to_owned).collect();
        let mut mount = Mount::default();
        mount
            .set_destination(self.target.clone())
            .set_typ(Some("tmpfs".to_owned()))
            .set_source(Some(Path::new("tmpfs").to_owned()))
            .set_options(Some(options));
        mount
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_or_named() {
        let check = |options: &str, unknown: Option<&str>| {
            let tmpfs = Tmpfs {
                target: "/t".into(),
                options: options.split(',').map(str::to_owned).collect(),
                form: TmpfsForm::Tmpfs,
            };
            assert_eq!(tmpfs.unknown_option(), unknown, "{options}");
        };
        check("", None);
        check("size=64m,mode=1777,uid=1,exec,ro", None);
        check("size=1m,foo", Some("foo"));
        check("bind", Some("bind"));
        check("upperdir=/x", Some("upperdir=/x"));
        check("size", Some("size"));
    }
}
