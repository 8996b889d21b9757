//! Build contexts: a client's files, kept from one build to the next so that only what changed is sent again.
//!
//! ```text
//! <root>/<key>/record.json     what the newest tree holds, and when it was received
//! <root>/<key>/<generation>/   the files; never changed once complete
//! ```
//!
//! Each reception makes a tree of its own. A file that did not change is a hard link to the tree before,
//! so a build reads one unchanging tree while the next is received beside it. Trees are a cache: nothing is synced,
//! and all of them are thrown away after a reboot.

mod archive;
mod contexts;
mod entry;
mod receive;
mod record;
mod tree;

pub use contexts::{ContextKey, Contexts};
pub use entry::{ContextPath, Entry, EntryKind, PathError};
pub use receive::{Need, Receiving};
pub use tree::Tree;

use std::path::PathBuf;

/// Most files and directories that one context may hold.
pub const MAX_ENTRIES: usize = 4 << 20;

/// Why a context cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A path that leaves the context, or cannot be a path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Entries did not come in the order of a walk, parents first.
    #[error("build context: {path} came out of order")]
    OutOfOrder {
        /// The entry.
        path: ContextPath,
    },
    /// An entry whose parent is no directory of the context.
    #[error("build context: the parent of {path} is not a directory")]
    NoParent {
        /// The entry.
        path: ContextPath,
    },
    /// A hard link to something that is no earlier file of the context.
    #[error("build context: {path} is a hard link to {target}, which is not a file before it")]
    LinkTarget {
        /// The link.
        path: ContextPath,
        /// What it names.
        target: ContextPath,
    },
    /// More entries than [`MAX_ENTRIES`].
    #[error("build context holds more than {MAX_ENTRIES} files")]
    TooMany,
    /// Content that was not asked for.
    #[error("build context: content for entry {index} was not asked for")]
    Unasked {
        /// Number of the entry, from 0 in the order they came.
        index: u32,
    },
    /// Content of some files never came.
    #[error("build context ended before the content of {path} came")]
    Incomplete {
        /// The first of them.
        path: ContextPath,
    },
    /// A tar that cannot be read, or that came in part.
    #[error("build context: {0}")]
    Archive(#[source] std::io::Error),
    /// A file of the host could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ContextError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

#[cfg(test)]
mod tests;
