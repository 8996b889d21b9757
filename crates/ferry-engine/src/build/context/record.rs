//! What a context's newest tree holds, on disk beside it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ContextError, Entry};

/// The version of the record that this code writes; others are thrown away, trees are a cache.
const VERSION: u32 = 1;
const NAME: &str = "record.json";
const TEMPORARY: &str = "record.json.new";

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

    /// Replaces the record of the context in `dir`. A crash leaves the old one or the new one.
    pub(super) fn write(&self, dir: &Path) -> Result<(), ContextError> {
        let temporary = dir.join(TEMPORARY);
        let written = File::create(&temporary).and_then(|file| {
            let mut out = BufWriter::new(file);
            serde_json::to_writer(&mut out, self)?;
            out.flush()?;
            std::fs::rename(&temporary, dir.join(NAME))
        });
        written.map_err(ContextError::io(temporary))
    }

    /// Whether `name` is one of the files that records are kept in.
    pub(super) fn owns(name: &str) -> bool {
        name == NAME
    }
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
