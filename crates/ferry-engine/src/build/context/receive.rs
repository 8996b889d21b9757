//! The reception of one context: the list of its entries, the content that is lacking, and the tree they make.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::contexts::{ContextKey, Contexts};
use super::tree::{self, Planting, Source};
use super::{ContextError, ContextPath, Entry, EntryKind, MAX_ENTRIES, Tree};

/// A file that changed this shortly before it was received may have changed again with the same size and time.
const SETTLED_NS: i64 = 2_000_000_000;

/// Whether the client has to send an entry's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It has.
    Content,
    /// Nothing is lacking.
    Nothing,
}

/// The reception of one context. Dropped before [`Receiving::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Receiving {
    contexts: Contexts,
    key: ContextKey,
    previous: Option<Arc<Tree>>,
    /// How far `previous` has been compared; both lists are in the same order.
    compared: usize,
    begun_ns: i64,
    entries: Vec<Entry>,
    sources: Vec<Source>,
    order: Order,
    /// Entries whose content was asked for and has not come whole.
    wanted: HashMap<u32, Incoming>,
    staging: Option<Staging>,
    changed: bool,
}

/// Content on its way. The file is made with its first byte, so that few are open at once.
#[derive(Debug, Default)]
struct Incoming {
    file: Option<File>,
    received_bytes: u64,
}

/// Where content is kept until the list is complete; removed on drop.
#[derive(Debug)]
struct Staging {
    path: PathBuf,
    fd: OwnedFd,
}

impl Receiving {
    pub(super) fn begin(contexts: Contexts, key: ContextKey, previous: Option<Arc<Tree>>) -> Self {
        Self {
            contexts,
            key,
            previous,
            compared: 0,
            begun_ns: now_ns(),
            entries: Vec::new(),
            sources: Vec::new(),
            order: Order::default(),
            wanted: HashMap::new(),
            staging: None,
            changed: false,
        }
    }

    /// Takes the next entry of the list and says whether its content has to be sent.
    ///
    /// Entries come in the order of a walk, parents first; anything else is refused.
    pub fn entry(&mut self, entry: Entry) -> Result<Need, ContextError> {
        let index = u32::try_from(self.entries.len())
            .ok()
            .filter(|_| self.entries.len() < MAX_ENTRIES)
            .ok_or(ContextError::TooMany)?;
        self.order.check(&entry)?;
        let unchanged = self.is_unchanged(&entry);
        let is_file = matches!(entry.kind, EntryKind::File { .. });
        self.entries.push(entry);
        if unchanged {
            self.sources.push(Source::Previous);
            return Ok(Need::Nothing);
        }
        self.changed = true;
        self.sources.push(Source::Staged(index));
        if !is_file {
            return Ok(Need::Nothing);
        }
        self.wanted.insert(index, Incoming::default());
        Ok(Need::Content)
    }

    /// Takes a piece of the content of entry `index` (counted from 0).
    pub fn content(&mut self, index: u32, bytes: &[u8]) -> Result<(), ContextError> {
        let staging = self.staging_path()?;
        let incoming = self.wanted.get_mut(&index).ok_or(ContextError::Unasked { index })?;
        let path = staging.join(index.to_string());
        incoming.write(&path, bytes).map_err(ContextError::io(path))
    }

    /// Notes that the content of entry `index` is whole.
    pub fn content_end(&mut self, index: u32) -> Result<(), ContextError> {
        // An empty file has an end without a beginning.
        self.content(index, &[])?;
        let incoming = self.wanted.remove(&index).ok_or(ContextError::Unasked { index })?;
        let Some(entry) = self.entries.get_mut(index as usize) else {
            return Err(ContextError::Unasked { index });
        };
        if let Some(file) = incoming.file {
            file.set_permissions(std::fs::Permissions::from_mode(entry.mode))
                .map_err(ContextError::io(entry.path.as_str()))?;
        }
        // A file may grow or shrink while it is read. What came is what it is; that it differs
        // from what was announced makes it lacking again next time.
        entry.kind = EntryKind::File {
            size_bytes: incoming.received_bytes,
        };
        Ok(())
    }

    /// Whether content that was asked for is still on its way.
    pub fn awaits_content(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Completes the tree. When nothing changed it is the tree before.
    pub fn finish(mut self) -> Result<Arc<Tree>, ContextError> {
        if let Some(entry) = self
            .wanted
            .keys()
            .min()
            .and_then(|index| self.entries.get(*index as usize))
        {
            return Err(ContextError::Incomplete {
                path: entry.path.clone(),
            });
        }
        if let Some(previous) = &self.previous
            && !self.changed
            && previous.entries().len() == self.entries.len()
        {
            return Ok(Arc::clone(previous));
        }
        let directory = self.contexts.new_generation(&self.key)?;
        self.plant(&directory)
            .inspect_err(|_| tree::discard(directory.clone()))?;
        let entries = std::mem::take(&mut self.entries);
        self.contexts
            .install(&self.key, Tree::new(directory, entries, self.begun_ns))
    }

    fn plant(&self, directory: &Path) -> Result<(), ContextError> {
        let previous = match &self.previous {
            Some(tree) => Some(tree::open_directory(tree.path())?),
            None => None,
        };
        let mut planting = Planting::begin(
            directory,
            previous.as_ref().map(AsFd::as_fd),
            self.staging.as_ref().map(|staging| staging.fd.as_fd()),
        )?;
        for (entry, source) in self.entries.iter().zip(&self.sources) {
            planting.plant(entry, *source)?;
        }
        planting.finish()
    }

    fn is_unchanged(&mut self, entry: &Entry) -> bool {
        let Some(previous) = &self.previous else {
            return false;
        };
        let before = previous.entries();
        while before.get(self.compared).is_some_and(|old| old.path < entry.path) {
            self.compared += 1;
        }
        let settled = matches!(entry.kind, EntryKind::Directory)
            || entry.modified_ns < previous.received_ns().saturating_sub(SETTLED_NS);
        settled
            && before
                .get(self.compared)
                .is_some_and(|old| entry.is_unchanged_since(old))
    }

    fn staging_path(&mut self) -> Result<PathBuf, ContextError> {
        if let Some(staging) = &self.staging {
            return Ok(staging.path.clone());
        }
        let path = self.contexts.new_generation(&self.key)?;
        std::fs::create_dir(&path).map_err(ContextError::io(&path))?;
        let fd = tree::open_directory(&path)?;
        self.staging = Some(Staging { path: path.clone(), fd });
        Ok(path)
    }
}

impl Incoming {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            missing => missing.insert(File::options().write(true).create_new(true).mode(0o600).open(path)?),
        };
        file.write_all(bytes)?;
        self.received_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        tree::discard(std::mem::take(&mut self.path));
    }
}

/// Sees to it that entries come in the order of a walk, each below a directory that came before.
#[derive(Debug, Default)]
struct Order {
    last: Option<ContextPath>,
    /// The directories that the walk is in, outermost first.
    directories: Vec<ContextPath>,
    files: HashSet<ContextPath>,
}

impl Order {
    fn check(&mut self, entry: &Entry) -> Result<(), ContextError> {
        let path = &entry.path;
        if self.last.as_ref().is_some_and(|last| last >= path) {
            return Err(ContextError::OutOfOrder { path: path.clone() });
        }
        let (parent, _) = path.split();
        while self.directories.last().is_some_and(|open| open.as_str() != parent) {
            self.directories.pop();
        }
        if self.directories.is_empty() && !parent.is_empty() {
            return Err(ContextError::NoParent { path: path.clone() });
        }
        match &entry.kind {
            EntryKind::Directory => self.directories.push(path.clone()),
            EntryKind::File { .. } => {
                self.files.insert(path.clone());
            }
            EntryKind::HardLink { target } if !self.files.contains(target) => {
                return Err(ContextError::LinkTarget {
                    path: path.clone(),
                    target: target.clone(),
                });
            }
            _ => {}
        }
        self.last = Some(path.clone());
        Ok(())
    }
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}
