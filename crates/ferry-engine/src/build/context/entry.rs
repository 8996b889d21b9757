//! One file or directory of a build context, as its client lists it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest path, in bytes (`PATH_MAX` less the closing NUL).
const MAX_PATH_BYTES: usize = 4095;
/// Longest name between two slashes, in bytes (`NAME_MAX`).
const MAX_NAME_BYTES: usize = 255;
/// Deepest nesting.
const MAX_DEPTH: usize = 512;

/// A path within a context: relative, without empty, `.` or `..` components.
///
/// Ordered as a walk meets paths: component by component, so that a directory comes right before what it holds.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContextPath(String);

/// A path that leaves the context, or cannot be a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("build context: invalid path {path:?}: {reason}")]
pub struct PathError {
    /// The path, cut to what a message can hold.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// One file or directory of a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is.
    pub path: ContextPath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky (`07777`).
    pub mode: u32,
    /// When its content changed last, in nanoseconds since 1970 by the client's clock. Compared, never applied.
    pub modified_ns: i64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file whose content may have to be sent.
    File {
        /// Its size, in bytes.
        size_bytes: u64,
    },
    /// A symbolic link. Its target is content: it is never followed here.
    SymbolicLink {
        /// What it points at, as it is.
        target: String,
    },
    /// Another name of a file that came before.
    HardLink {
        /// That file.
        target: ContextPath,
    },
    /// A named pipe.
    Fifo,
}

impl Entry {
    /// Whether `self` is what `other` was, so that its content need not be sent again.
    ///
    /// A directory's time says only that names in it changed, which the names themselves say as well.
    pub(super) fn is_unchanged_since(&self, other: &Self) -> bool {
        let times_matter = self.kind != EntryKind::Directory;
        self.path == other.path
            && self.kind == other.kind
            && self.mode == other.mode
            && (!times_matter || self.modified_ns == other.modified_ns)
    }
}

impl ContextPath {
    /// The path, with `/` between its components.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory it is in, relative to the context's root (empty for the root itself), and its name there.
    pub(super) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl FromStr for ContextPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| {
            Err(PathError {
                path: text.chars().take(256).collect(),
                reason,
            })
        };
        if text.len() > MAX_PATH_BYTES {
            return refuse("it is too long");
        }
        if text.starts_with('/') {
            return refuse("it is absolute");
        }
        if text.contains('\0') {
            return refuse("it holds a NUL");
        }
        for name in text.split('/') {
            match name {
                "" => return refuse("a component is empty"),
                "." | ".." => return refuse("a component is . or .."),
                name if name.len() > MAX_NAME_BYTES => return refuse("a component is too long"),
                _ => {}
            }
        }
        if text.split('/').count() > MAX_DEPTH {
            return refuse("it is too deep");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ContextPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ContextPath> for String {
    fn from(path: ContextPath) -> Self {
        path.0
    }
}

impl Ord for ContextPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.split('/').cmp(other.0.split('/'))
    }
}

impl PartialOrd for ContextPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ContextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_paths() {
        for path in ["a", "a/b", "...", "a b", "ä/ö", ".dockerignore"] {
            assert!(path.parse::<ContextPath>().is_ok(), "{path:?}");
        }
        for path in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/.",
            "a\0b",
        ] {
            assert!(path.parse::<ContextPath>().is_err(), "{path:?}");
        }
        assert!("x".repeat(256).parse::<ContextPath>().is_err());
        assert!(vec!["d"; 513].join("/").parse::<ContextPath>().is_err());
    }

    #[test]
    fn order_is_that_of_a_walk() {
        let mut paths: Vec<ContextPath> = ["a.b", "a/b", "a", "a/b/c", "b", "a-b", "a/a"]
            .into_iter()
            .filter_map(|path| path.parse().ok())
            .collect();
        paths.sort();
        let sorted: Vec<&str> = paths.iter().map(ContextPath::as_str).collect();
        assert_eq!(sorted, ["a", "a/a", "a/b", "a/b/c", "a-b", "a.b", "b"]);
    }
}
