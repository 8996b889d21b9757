//! What a COPY takes from its sources: files with their contents' digests, independent of host and time.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ferry_oci::{Digest, Hasher};
use rustix::fs::FileType;

use super::view::{Directory, Found, LastLink, Resolved, View, ViewError, join, names};
use crate::glob::{Dialect, Glob, PatternError};
use crate::ignore::Ignore;
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
    /// Its own directories, for `--parents`: path and metadata, outermost first.
    pub(crate) parents: Vec<(Vec<u8>, Metadata)>,
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
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a file is.
#[derive(Debug, Clone)]
pub(crate) enum ItemKind {
    Directory,
    File {
        content: Content,
        digest: Digest,
        size_bytes: u64,
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
    /// Layers: everything is content.
    Layers,
    /// An unpacked archive: everything is content, hard links too.
    Archive,
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
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("directories are nested more than {limit} deep below {path}")]
    TooDeep { path: String, limit: usize },
}

/// Directories within directories; more than any file system tool can handle by path.
const MAX_DEPTH: usize = 1000;

/// What to select.
pub(crate) struct Wanted<'a> {
    pub(crate) sources: &'a [CopySource],
    pub(crate) exclude: &'a [String],
    pub(crate) parents: ParentPaths,
    pub(crate) archives: Archives,
}

/// Reads and hashes what `wanted` stands for in `origin`.
pub(crate) fn select(origin: &Origin<'_>, wanted: &Wanted<'_>) -> Result<Selection, SelectionFault> {
    let exclude = Ignore::from_patterns(wanted.exclude.iter().map(String::as_str))?;
    let mut selector = Selector {
        origin,
        exclude,
        archives: wanted.archives,
        sources: Vec::new(),
    };
    for source in wanted.sources {
        match source {
            CopySource::Inline { name, content } => selector.inline(name, content),
            CopySource::Path(path) => selector.path(path, wanted.parents)?,
        }
    }
    let digest = digest_of(&selector.sources);
    Ok(Selection {
        sources: selector.sources,
        digest,
    })
}

struct Selector<'a> {
    origin: &'a Origin<'a>,
    exclude: Ignore,
    archives: Archives,
    sources: Vec<Selected>,
}

impl Selector<'_> {
    fn inline(&mut self, name: &str, content: &str) {
        self.sources.push(Selected {
            name: name.as_bytes().to_vec(),
            parents: Vec::new(),
            items: vec![SelectedItem {
                path: Vec::new(),
                metadata: Metadata {
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    mtime: None,
                    attributes: Vec::new(),
                },
                kind: ItemKind::File {
                    content: Content::Inline(content.as_bytes().into()),
                    digest: Digest::of(content.as_bytes()),
                    size_bytes: content.len() as u64,
                    archive: Archives::Copy,
                },
            }],
        });
    }

    fn path(&mut self, written: &str, parents: ParentPaths) -> Result<(), SelectionFault> {
        let clean = crate::plan::paths::absolute("/", written);
        let clean = clean.trim_start_matches('/');
        let matches = if Glob::is_pattern(clean) {
            self.wildcards(clean, parents)?
        } else {
            vec![clean.as_bytes().to_vec()]
        };
        let not_found = || SelectionFault::NotFound(format!("/{clean}"));
        if matches.is_empty() {
            return Err(not_found());
        }
        // `a/./b/c` keeps `b` only.
        let pivot = match written.split_once("/./") {
            Some((before, _)) => names(before.as_bytes()).filter(|name| *name != b"..").count(),
            None => 0,
        };
        for path in matches {
            let Resolved::Found(found) = self.origin.view.resolve(&path, LastLink::Follow)? else {
                return Err(not_found());
            };
            if self.is_ignored(&found.path) && !self.keeps_below(&found) {
                return Err(not_found());
            }
            let kept_parents = match parents {
                ParentPaths::Drop => Vec::new(),
                ParentPaths::Keep => self.parents(&path, pivot)?,
            };
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let mut items = Vec::new();
            let mut links = Vec::new();
            self.take(&found, Vec::new(), name, &mut items, &mut links, 0)?;
            if parents == ParentPaths::Drop || name.is_empty() {
                forget_source_directory(&mut items);
            }
            self.sources.push(Selected {
                name: name.to_vec(),
                parents: kept_parents,
                items,
            });
        }
        Ok(())
    }

    /// The paths that match, sorted; a directory that matches stands for itself.
    fn wildcards(&self, pattern: &str, parents: ParentPaths) -> Result<Vec<Vec<u8>>, SelectionFault> {
        let dialect = match parents {
            ParentPaths::Keep => Dialect::Ignore,
            ParentPaths::Drop => Dialect::Path,
        };
        let glob = Glob::parse(pattern, dialect)?;
        // What stands before the first wildcard is walked to, not searched.
        let fixed: Vec<&str> = pattern
            .split('/')
            .take_while(|name| !Glob::is_pattern(name))
            .collect();
        let start = fixed.join("/");
        let mut matches = Vec::new();
        if let Resolved::Found(found) = self.origin.view.resolve(start.as_bytes(), LastLink::Follow)?
            && let Some(directory) = &found.directory
        {
            self.search(directory, start.as_bytes(), &glob, &mut matches, 0)?;
        }
        Ok(matches)
    }

    fn search(
        &self,
        directory: &Directory,
        shown: &[u8],
        glob: &Glob,
        matches: &mut Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<(), SelectionFault> {
        check_depth(shown, depth)?;
        for (name, found) in self.origin.view.entries(directory)? {
            let path = join(shown, &name);
            let text = String::from_utf8_lossy(&path).into_owned();
            let is_ignored = self.is_ignored(&found.path);
            if glob.matches(&text) && (!is_ignored || self.keeps_below(&found)) {
                matches.push(path);
            } else if let Some(below) = &found.directory
                && glob.may_match_below(&text)
            {
                self.search(below, &path, glob, matches, depth + 1)?;
            }
        }
        Ok(())
    }

    fn parents(&self, path: &[u8], pivot: usize) -> Result<Vec<(Vec<u8>, Metadata)>, SelectionFault> {
        let all: Vec<&[u8]> = names(path).collect();
        let mut parents = Vec::new();
        let mut kept = Vec::new();
        for end in 1..all.len() {
            if end <= pivot {
                continue;
            }
            let whole = all[..end].join(&b'/');
            kept = join(&kept, all[end - 1]);
            if let Resolved::Found(found) = self.origin.view.resolve(&whole, LastLink::Follow)? {
                parents.push((kept.clone(), self.metadata(&found)?));
            }
        }
        Ok(parents)
    }

    /// Adds `found` and all below it. `base` is the source's own name, which `--exclude` sees for files.
    fn take(
        &self,
        found: &Found,
        path: Vec<u8>,
        base: &[u8],
        items: &mut Vec<SelectedItem>,
        links: &mut Vec<(u64, Vec<u8>)>,
        depth: usize,
    ) -> Result<(), SelectionFault> {
        check_depth(&found.path, depth)?;
        let is_source = path.is_empty();
        let seen_by_exclude = if is_source && found.directory.is_none() { base } else { &path };
        let excluded = !seen_by_exclude.is_empty()
            && self.exclude.excludes(&String::from_utf8_lossy(seen_by_exclude));
        let left_out = excluded || (self.is_ignored(&found.path) && !found.path.is_empty());
        let at = items.len();
        if !left_out || is_source {
            if left_out && found.directory.is_none() {
                return Ok(());
            }
            items.push(self.item(found, path.clone(), links)?);
        }
        let Some(directory) = &found.directory else {
            return Ok(());
        };
        if left_out && !is_source && !self.may_hold_kept(found, &path) {
            return Ok(());
        }
        for (name, child) in self.origin.view.entries(directory)? {
            self.take(&child, join(&path, &name), base, items, links, depth + 1)?;
        }
        // A directory that is left out appears only for the sake of what is kept below it.
        if left_out && !is_source && items.len() > at {
            items.insert(at, self.item(found, path, links)?);
        }
        Ok(())
    }

    fn may_hold_kept(&self, found: &Found, path: &[u8]) -> bool {
        self.keeps_below(found) || self.exclude.may_keep_below(&String::from_utf8_lossy(path))
    }

    fn item(
        &self,
        found: &Found,
        path: Vec<u8>,
        links: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<SelectedItem, SelectionFault> {
        let kind = match found.status.kind {
            FileType::Directory => ItemKind::Directory,
            FileType::Symlink => ItemKind::Link {
                target: self.origin.view.read_link(found)?,
            },
            FileType::RegularFile => self.file(found, &path, links)?,
            kind => ItemKind::Node {
                kind,
                device: found.status.device,
            },
        };
        Ok(SelectedItem {
            metadata: self.metadata(found)?,
            path,
            kind,
        })
    }

    fn file(
        &self,
        found: &Found,
        path: &[u8],
        links: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<ItemKind, SelectionFault> {
        if self.origin.trust == Trust::Archive && found.status.links > 1 {
            let inode = found.status.inode;
            if let Some((_, first)) = links.iter().find(|(known, _)| *known == inode) {
                return Ok(ItemKind::SameAs { path: first.clone() });
            }
            links.push((inode, path.to_vec()));
        }
        let file = self.origin.view.open_file(found)?;
        let failed = |source| SelectionFault::Read {
            path: String::from_utf8_lossy(&found.path).into_owned(),
            source,
        };
        let is_unpacked = self.archives == Archives::Unpack
            && path.is_empty()
            && super::archive::is_archive(&file).map_err(failed)?;
        let (digest, size_bytes) = hash(file).map_err(failed)?;
        Ok(ItemKind::File {
            content: Content::In {
                view: self.origin.view.clone(),
                found: found.clone(),
            },
            digest,
            size_bytes,
            archive: if is_unpacked { Archives::Unpack } else { Archives::Copy },
        })
    }

    fn metadata(&self, found: &Found) -> Result<Metadata, SelectionFault> {
        let status = found.status;
        if self.origin.trust == Trust::Host {
            return Ok(Metadata {
                mode: status.mode,
                uid: 0,
                gid: 0,
                mtime: None,
                attributes: Vec::new(),
            });
        }
        Ok(Metadata {
            mode: status.mode,
            uid: status.uid,
            gid: status.gid,
            mtime: Some(status.mtime),
            attributes: self.origin.view.attributes(found)?,
        })
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        let ignore = self.origin.ignore.filter(|ignore| !ignore.is_empty());
        ignore.is_some_and(|ignore| ignore.excludes(&String::from_utf8_lossy(path)))
    }

    fn keeps_below(&self, found: &Found) -> bool {
        found.directory.is_some()
            && self.origin.ignore.is_some_and(|ignore| {
                ignore.may_keep_below(&String::from_utf8_lossy(&found.path))
            })
    }
}

/// A directory that is copied gives its content only, so that what it is itself must not count.
fn forget_source_directory(items: &mut [SelectedItem]) {
    if let Some(SelectedItem { metadata, kind: ItemKind::Directory, .. }) = items.first_mut() {
        *metadata = Metadata {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: None,
            attributes: Vec::new(),
        };
    }
}

fn check_depth(path: &[u8], depth: usize) -> Result<(), SelectionFault> {
    if depth > MAX_DEPTH {
        return Err(SelectionFault::TooDeep {
            path: String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned(),
            limit: MAX_DEPTH,
        });
    }
    Ok(())
}

fn hash(file: OwnedFd) -> std::io::Result<(Digest, u64)> {
    let mut file = std::fs::File::from(file);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size_bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            len => {
                hasher.update(&buffer[..len]);
                size_bytes += len as u64;
            }
        }
    }
    Ok((hasher.finish(), size_bytes))
}

fn digest_of(sources: &[Selected]) -> Digest {
    let mut hasher = crate::key::KeyHasher::new("selection");
    for source in sources {
        hasher.bytes(&source.name);
        hasher.number(source.parents.len() as u64);
        for (path, metadata) in &source.parents {
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
    pub(super) fn feed(&self, hasher: &mut crate::key::KeyHasher) {
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
    pub(super) fn feed(&self, hasher: &mut crate::key::KeyHasher) {
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
