//! What a COPY takes from its sources: files with their contents' digests, independent of host and time.

use std::sync::Arc;

use ferry_oci::Digest;
use rustix::fs::FileType;

use super::view::{Attributes, Found, View, ViewError};
use crate::glob::PatternError;
use crate::ignore::Ignore;
use crate::key::KeyHasher;
use crate::plan::{Archives, CopySource, ParentPaths};

/// Everything that a COPY's sources stand for, in order.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) sources: Vec<Selected>,
    /// Over names, types, modes, owners and contents of all of it; never over host times or owners.
    pub(crate) digest: Digest,
}

/// One source, after wildcards.
#[derive(Debug)]
pub(crate) struct Selected {
    /// Its last name; empty for the root.
    pub(crate) name: Vec<u8>,
    /// With `--parents`, its own directories: path and metadata, outermost first.
    pub(crate) parents: Option<Vec<(Vec<u8>, Metadata)>>,
    /// What it holds, parents before children. The first is the source itself, with an empty path.
    pub(crate) items: Vec<SelectedItem>,
}

/// A file, directory or link below a source.
#[derive(Debug, Clone)]
pub(crate) struct SelectedItem {
    /// Relative to the source.
    pub(crate) path: Vec<u8>,
    pub(crate) metadata: Metadata,
    pub(crate) kind: ItemKind,
}

/// What makes a file look as it does, besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` for what the host's clock decided.
    pub(crate) mtime: Option<i64>,
    pub(crate) attributes: Attributes,
}

/// What a file is.
#[derive(Debug, Clone)]
pub(crate) enum ItemKind {
    Directory,
    File {
        content: Content,
        digest: Digest,
        /// Whether it is a tar archive that ADD unpacks.
        archive: Archives,
    },
    Link {
        target: Vec<u8>,
    },
    Node {
        kind: FileType,
        device: (u32, u32),
    },
    /// Another name of an earlier item of the same source.
    SameAs {
        path: Vec<u8>,
    },
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Inline(Arc<[u8]>),
    In { view: Arc<View>, found: Found },
}

/// Where files are taken from, and which of them.
pub(crate) struct Origin<'a> {
    pub(crate) view: Arc<View>,
    /// The context's ignore rules.
    pub(crate) ignore: Option<&'a Ignore>,
    pub(crate) trust: Trust,
}

/// Which metadata of the origin is content, and which is the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The client's files: owners, times and extended attributes are the host's.
    Host,
    /// Layers and unpacked archives: everything is content, hard links too.
    Content,
}

/// What to select.
pub(crate) struct Wanted<'a> {
    pub(crate) sources: &'a [CopySource],
    pub(crate) exclude: &'a [String],
    pub(crate) parents: ParentPaths,
    pub(crate) archives: Archives,
}

/// Why sources cannot be selected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectionFault {
    #[error("failed to calculate checksum of ref: {0:?}: not found")]
    NotFound(String),
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("{path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("directories are nested more than {limit} deep below {path}")]
    TooDeep { path: String, limit: usize },
}

/// See [`Selection::digest`].
pub(super) fn digest_of(sources: &[Selected]) -> Digest {
    let mut hasher = KeyHasher::new("selection");
    for source in sources {
        hasher.bytes(&source.name);
        let parents = source.parents.iter().flatten();
        hasher.number(match &source.parents {
            None => 0,
            Some(parents) => 1 + parents.len() as u64,
        });
        for (path, metadata) in parents {
            hasher.bytes(path);
            metadata.feed(&mut hasher);
        }
        hasher.number(source.items.len() as u64);
        for item in &source.items {
            hasher.bytes(&item.path);
            item.metadata.feed(&mut hasher);
            item.kind.feed(&mut hasher);
        }
    }
    hasher.finish()
}

impl Metadata {
    pub(super) fn feed(&self, hasher: &mut KeyHasher) {
        hasher.number(self.mode.into());
        hasher.number(self.uid.into());
        hasher.number(self.gid.into());
        hasher.text(&format!("{:?}", self.mtime));
        hasher.number(self.attributes.len() as u64);
        for (name, value) in &self.attributes {
            hasher.bytes(name);
            hasher.bytes(value);
        }
    }
}

impl ItemKind {
    pub(super) fn feed(&self, hasher: &mut KeyHasher) {
        match self {
            Self::Directory => hasher.text("directory"),
            Self::File { digest, archive, .. } => {
                hasher.text(match archive {
                    Archives::Copy => "file",
                    Archives::Unpack => "archive",
                });
                hasher.text(&digest.to_string());
            }
            Self::Link { target } => {
                hasher.text("link");
                hasher.bytes(target);
            }
            Self::Node { kind, device } => {
                hasher.text(&format!("node {kind:?} {} {}", device.0, device.1));
            }
            Self::SameAs { path } => {
                hasher.text("same");
                hasher.bytes(path);
            }
        }
    }
}
