//! What a context's newest tree holds, on disk beside it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ContextError, Entry};

/// The version of the record that this code writes; others are thrown away, trees are a cache.
const VERSION: u32 = 1;
const NAME: &str = "record.json";

/// What a tree holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// The boot during which it was written. Nothing of a tree is synced, so a later boot cannot trust it.
    boot_id: String,
    /// The tree's directory.
    pub(super) generation: String,
    /// When its reception began, in nanoseconds since 1970.
    pub(super) received_ns: i64,
    /// What it holds, in order.
    pub(super) entries: Vec<Entry>,
}

impl Record {
    pub(super) fn new(generation: String, received_ns: i64, entries: Vec<Entry>) -> Self {
        Self {
            version: VERSION,
            boot_id: boot_id(),
            generation,
            received_ns,
            entries,
        }
    }

    /// The record of the context in `dir`, if there is one that this boot can trust.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let file = File::open(dir.join(NAME)).ok()?;
        let record: Self = serde_json::from_reader(BufReader::new(file)).ok()?;
        let trusted = record.version == VERSION && record.boot_id == boot_id() && !record.generation.contains('/');
        trusted.then_some(record)
    }

    /// Writes the record beside the one of the context in `dir`, for [`Written::put`]. Builds that receive
    /// the same context at the same time each write their own.
    pub(super) fn write(&self, dir: &Path) -> Result<Written, ContextError> {
        let path = dir.join(format!("{NAME}.{}", self.generation));
        let written = File::create(&path).and_then(|file| {
            let mut out = BufWriter::new(file);
            serde_json::to_writer(&mut out, self)?;
            out.flush()
        });
        written.map_err(ContextError::io(path.clone()))?;
        Ok(Written { path })
    }

    /// Whether `name` is one of the files that records are kept in.
    pub(super) fn owns(name: &str) -> bool {
        name == NAME
    }
}

/// A record that is written and not the context's yet.
#[derive(Debug)]
pub(super) struct Written {
    path: PathBuf,
}

impl Written {
    /// Makes it the record of the context in `dir`. A crash leaves the old one or the new one.
    pub(super) fn put(self, dir: &Path) -> Result<(), ContextError> {
        std::fs::rename(&self.path, dir.join(NAME)).map_err(ContextError::io(self.path))
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
