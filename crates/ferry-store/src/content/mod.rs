//! Blobs by digest, below `blobs/sha256/`.

mod ingest;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use ferry_oci::Digest;

pub use self::ingest::Ingest;
use crate::lease::Key;
use crate::store::{file_name, folder, list};
use crate::{Error, Store};

/// Access to the blobs of a [`Store`].
#[derive(Clone, Copy)]
pub struct Content<'a> {
    store: &'a Store,
}

/// An open blob: its bytes were checked against its digest when they were written.
#[derive(Debug)]
pub struct Blob {
    file: File,
    size_bytes: u64,
}

impl<'a> Content<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Whether the blob is here. A lease protects it from now on.
    pub fn has(&self, digest: &Digest) -> bool {
        let mut protection = self.store.inner().protection.lock();
        let is_here = self.path(digest).exists();
        if is_here {
            protection.touch(Key::Blob(*digest));
        }
        is_here
    }

    /// The blob's size in bytes.
    pub fn size(&self, digest: &Digest) -> Result<u64, Error> {
        Ok(self.open(digest)?.size_bytes)
    }

    /// Opens the blob for reading.
    pub fn open(&self, digest: &Digest) -> Result<Blob, Error> {
        let path = self.path(digest);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((size_bytes, file)) => Ok(Blob { file, size_bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::BlobMissing(*digest)),
            Err(error) => Err(Error::file("open", path)(error)),
        }
    }

    /// The whole blob, which must not be larger than `limit_bytes`; its digest is checked again.
    pub fn read(&self, digest: &Digest, limit_bytes: u64) -> Result<Vec<u8>, Error> {
        let blob = self.open(digest)?;
        if blob.size_bytes > limit_bytes {
            return Err(Error::TooLarge {
                digest: *digest,
                size_bytes: blob.size_bytes,
                limit_bytes,
            });
        }
        let mut bytes = Vec::with_capacity(blob.size_bytes as usize);
        blob.take(limit_bytes)
            .read_to_end(&mut bytes)
            .map_err(Error::file("read", self.path(digest)))?;
        match Digest::of(&bytes) {
            actual if actual == *digest => Ok(bytes),
            actual => Err(Error::DigestMismatch {
                expected: *digest,
                actual,
            }),
        }
    }

    /// Starts a new blob.
    pub fn ingest(&self) -> Result<Ingest, Error> {
        Ingest::new(self.store)
    }

    /// Stores `bytes` as a blob.
    pub fn write(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let mut ingest = self.ingest()?;
        ingest.write_all(bytes).map_err(|error| ingest.failed(error))?;
        ingest.commit(None)
    }

    /// Where the blob is or would be: for other tools and for messages.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.store.folder(folder::BLOBS).join(digest.hex())
    }

    /// All blobs, in no order.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        let paths = list(&self.store.folder(folder::BLOBS))?;
        let digest_of = |path: &PathBuf| format!("sha256:{}", file_name(path)).parse().ok();
        Ok(paths.iter().filter_map(digest_of).collect())
    }

    /// Number of blobs and the sum of their sizes.
    pub(crate) fn usage(&self) -> Result<(u64, u64), Error> {
        let mut usage = (0, 0);
        for path in list(&self.store.folder(folder::BLOBS))? {
            if let Ok(metadata) = path.metadata() {
                usage = (usage.0 + 1, usage.1 + metadata.len());
            }
        }
        Ok(usage)
    }
}

impl Blob {
    /// Its size in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The open file, for an asynchronous reader.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Blob {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
