//! The files of an archive: each is stored by its digest as it comes, and found by its name later.
//!
//! A name is only a key here. What `blobs/sha256/…` says must be what the file is. Links, with which
//! older archives name a layer twice, are followed from key to key.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};

use ferry_oci::Digest;

use crate::error::ArchiveError;
use crate::layer::Decompressed;
use crate::tar::read::{Kind, TarReader};
use crate::{Error, Ingest, Limits, Store};

/// Files of an archive, at most; an image has at most 127 layers in practice.
const MAX_FILES: u64 = 65_536;
/// Bytes of a file's name.
const MAX_NAME_BYTES: usize = 1024;
/// Links that are followed for one name.
const MAX_LINKS: usize = 8;

pub(super) struct Files {
    store: Store,
    by_name: HashMap<String, File>,
}

enum File {
    /// Not visible in the store yet.
    New(Box<Ingest>),
    /// Visible in the store.
    Stored(Digest),
    /// Another name for a file.
    Link(String),
}

impl Files {
    /// Reads all of `archive`, which may be compressed.
    pub(super) fn read(store: &Store, archive: impl BufRead, limits: &Limits) -> Result<Self, Error> {
        let archive = Decompressed::detect(archive)?;
        let mut tar = TarReader::new(std::io::BufReader::with_capacity(256 << 10, archive));
        let mut files = Self {
            store: store.clone(),
            by_name: HashMap::new(),
        };
        let mut total_bytes = 0_u64;
        let mut count = 0;
        while let Some(header) = tar.next()? {
            count += 1;
            total_bytes = total_bytes.saturating_add(header.size_bytes);
            files.check(count, header.name.len(), total_bytes, limits)?;
            let Some(name) = key(&header.name) else {
                continue;
            };
            let file = match header.kind {
                Kind::File => File::New(Box::new(copy(store, &mut tar)?)),
                Kind::HardLink => match key(&header.link) {
                    Some(target) => File::Link(target),
                    None => continue,
                },
                Kind::Symlink => match beside(&name, &header.link) {
                    Some(target) => File::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            files.by_name.insert(name, file);
        }
        tar.drain()?;
        Ok(files)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The bytes of a small file.
    pub(super) fn read_small(&mut self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let digest = self.store(name)?;
        self.store.content().read(&digest, limit_bytes)
    }

    /// Opens a file, which does not become visible by that.
    pub(super) fn open(&self, name: &str) -> Result<Box<dyn Read>, Error> {
        let target = self.target(name)?;
        match self.by_name.get(&target) {
            Some(File::New(ingest)) => Ok(Box::new(ingest.reopen()?)),
            Some(File::Stored(digest)) => Ok(Box::new(self.store.content().open(digest)?)),
            _ => Err(missing(name)),
        }
    }

    /// Makes a file visible as a blob.
    pub(super) fn store(&mut self, name: &str) -> Result<Digest, Error> {
        let target = self.target(name)?;
        let digest = match self.by_name.remove(&target) {
            Some(File::New(ingest)) => ingest.commit(None)?,
            Some(File::Stored(digest)) => digest,
            _ => return Err(missing(name)),
        };
        self.by_name.insert(target, File::Stored(digest));
        Ok(digest)
    }

    /// Makes everything below `blobs/sha256/` visible, after checking that it is what it is named.
    pub(super) fn commit_blobs(&mut self) -> Result<(), Error> {
        let names: Vec<String> = self.by_name.keys().cloned().collect();
        for name in names {
            let Some(hex) = name.strip_prefix("blobs/sha256/") else {
                continue;
            };
            let promised: Result<Digest, _> = format!("sha256:{hex}").parse();
            let Ok(promised) = promised else {
                return Err(ArchiveError::Misnamed(name).into());
            };
            if self.store(&name)? != promised {
                return Err(ArchiveError::Misnamed(name).into());
            }
        }
        Ok(())
    }

    /// Where the links that start at `name` end.
    fn target(&self, name: &str) -> Result<String, Error> {
        let mut target = name;
        for _ in 0..MAX_LINKS {
            match self.by_name.get(target) {
                Some(File::Link(next)) => target = next,
                Some(_) => return Ok(target.to_owned()),
                None => break,
            }
        }
        Err(missing(name))
    }

    fn check(&self, count: u64, name_bytes: usize, total_bytes: u64, limits: &Limits) -> Result<(), Error> {
        let bounds = [
            ("files", count, MAX_FILES),
            ("bytes of a name", name_bytes as u64, MAX_NAME_BYTES as u64),
            ("bytes", total_bytes, limits.unpacked_bytes),
        ];
        match bounds.into_iter().find(|(_, actual, limit)| actual > limit) {
            Some((what, _, limit)) => Err(ArchiveError::Limit { what, limit }.into()),
            None => Ok(()),
        }
    }
}

fn missing(name: &str) -> Error {
    ArchiveError::FileMissing(name.chars().take(200).collect()).into()
}

fn copy<R: BufRead>(store: &Store, tar: &mut TarReader<R>) -> Result<Ingest, Error> {
    let mut ingest = store.content().ingest()?;
    loop {
        let piece = tar.data()?;
        if piece.is_empty() {
            return Ok(ingest);
        }
        let len = piece.len();
        ingest.write_all(piece).map_err(|error| ingest.failed(error))?;
        tar.consume(len);
    }
}

/// A name without `.`, `..` and empty parts; `None` for what cannot be a file of an archive.
fn key(name: &[u8]) -> Option<String> {
    join(Vec::new(), std::str::from_utf8(name).ok()?)
}

/// What a symbolic link named `name` points at.
fn beside(name: &str, target: &[u8]) -> Option<String> {
    let mut folder: Vec<&str> = name.split('/').collect();
    folder.pop();
    join(folder, std::str::from_utf8(target).ok()?)
}

fn join<'a>(mut parts: Vec<&'a str>, path: &'a str) -> Option<String> {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
