//! Writing a blob: hashed as it comes, visible only when it is what was promised.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use ferry_oci::{Digest, oci_spec};
use oci_spec::image::Descriptor;

use crate::lease::Key;
use crate::{Error, Store};

/// A blob that is being written. Dropped without [`Ingest::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    path: PathBuf,
    file: File,
    hasher: ferry_oci::Hasher,
    written_bytes: u64,
    is_committed: bool,
}

impl Ingest {
    pub(super) fn new(store: &Store) -> Result<Self, Error> {
        let path = store.temporary();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("create", &path))?;
        Ok(Self {
            store: store.clone(),
            path,
            file,
            hasher: ferry_oci::Hasher::new(),
            written_bytes: 0,
            is_committed: false,
        })
    }

    /// How many bytes were written.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Makes the blob visible under its digest, if it is the `expected` digest and size. A blob that
    /// is there already stays as it is. It survives a power cut after the next [`Store::sync`].
    pub fn commit(mut self, expected: Option<(&Digest, u64)>) -> Result<Digest, Error> {
        let actual = std::mem::take(&mut self.hasher).finish();
        if let Some((expected, expected_bytes)) = expected {
            if self.written_bytes != expected_bytes {
                return Err(Error::SizeMismatch {
                    digest: *expected,
                    expected_bytes,
                    actual_bytes: self.written_bytes,
                });
            }
            if actual != *expected {
                return Err(Error::DigestMismatch {
                    expected: *expected,
                    actual,
                });
            }
        }
        let place = self.store.content().path(&actual);
        let mut protection = self.store.inner().protection.lock();
        // One of another size is damaged: what was just hashed is better.
        let is_whole = place
            .metadata()
            .is_ok_and(|metadata| metadata.len() == self.written_bytes);
        if !is_whole {
            self.store.inner().pending.mark(Key::Blob(actual))?;
            fs::rename(&self.path, &place).map_err(Error::file("create", &place))?;
            self.is_committed = true;
        }
        protection.touch(Key::Blob(actual));
        drop(protection);
        Ok(actual)
    }

    /// [`Ingest::commit`] of what `descriptor` describes.
    pub fn commit_as(self, descriptor: &Descriptor) -> Result<Digest, Error> {
        let digest = Digest::try_from(descriptor.digest())?;
        self.commit(Some((&digest, descriptor.size())))
    }

    /// Opens what was written so far, to read it before or without making it visible.
    pub(crate) fn reopen(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(Error::file("open", &self.path))
    }

    /// Names the file in a failure to write it, such as a full disk.
    pub fn failed(&self, source: io::Error) -> Error {
        Error::file("write", &self.path)(source)
    }
}

impl Write for Ingest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
