//! Layers by DiffID: each holds its own differences only, so that images and platforms share them.

mod decompress;
pub(crate) mod diff;
pub(crate) mod directory;
pub(crate) mod extract;
mod gzip;
mod import;
mod inode;
mod limits;
mod path_text;
mod pipe;
mod source;
pub(crate) mod stored;
pub(crate) mod tree;
pub(crate) mod unpack;
mod xattr;

use std::io::{BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use ferry_oci::{Descriptor, DiffId, Digest, Hasher};

pub use self::decompress::Decompressed;
use self::diff::{DiffOptions, Naming, Settle};
use self::gzip::ParallelGzip;
pub(crate) use self::import::unpack_written;
pub use self::limits::Limits;
use self::stored::Source;
pub use self::unpack::{Unpacked, Whiteouts, unpack};
use crate::lease::Key;
use crate::store::{file_name, folder, list};
use crate::{Error, Store};

/// Access to the layers of a [`Store`].
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    store: &'a Store,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Whether the layer is unpacked here. A lease protects it from now on.
    pub fn has(&self, diff_id: &DiffId) -> bool {
        let mut protection = self.store.inner().protection.lock();
        let is_here = stored::folder_of(self.store, diff_id).exists();
        if is_here {
            protection.touch(Key::Layer(*diff_id));
        }
        is_here
    }

    /// The directory with the layer's own differences, as overlayfs reads them.
    pub fn path(&self, diff_id: &DiffId) -> Result<PathBuf, Error> {
        if !self.has(diff_id) {
            return Err(Error::LayerMissing(*diff_id));
        }
        Ok(stored::folder_of(self.store, diff_id).join(stored::TREE))
    }

    /// The sum of the sizes of the layer's files, in bytes.
    pub fn size(&self, diff_id: &DiffId) -> Result<u64, Error> {
        Ok(stored::read_record(self.store, diff_id)?.size_bytes)
    }

    /// Stores and unpacks a layer in one pass over its compressed stream.
    ///
    /// Visible afterwards: the blob of `descriptor`, whose size and digest were checked, and the layer
    /// `diff_id`, whose tar's digest was. After an error neither is, and nothing is left. gzip of any
    /// number of members, zstd and plain tar are told apart by their first bytes. Any number of threads
    /// may import the same layer; one wins, and none fails for it. The caller sees progress by what it
    /// is asked to read. A failure of the stream itself is [`Error::Input`] and worth another try.
    pub fn import(
        &self,
        compressed: impl Read,
        descriptor: &Descriptor,
        diff_id: &DiffId,
        limits: &Limits,
    ) -> Result<(), Error> {
        import::import(self.store, compressed, descriptor, diff_id, limits)
    }

    /// Unpacks a layer whose blob is here already; does nothing if it is unpacked.
    pub fn import_stored(&self, descriptor: &Descriptor, diff_id: &DiffId, limits: &Limits) -> Result<(), Error> {
        if self.has(diff_id) {
            return Ok(());
        }
        import::import_stored(self.store, descriptor, diff_id, limits)
    }

    /// Makes a layer of a tar, which may be compressed: what `import` and docker-archives bring.
    ///
    /// It is compressed on the way, so that [`Layers::compress`] answers at once. With `expected`,
    /// another DiffID is an error and leaves nothing.
    pub fn unpack(&self, tar: impl Read, expected: Option<&DiffId>, limits: &Limits) -> Result<DiffId, Error> {
        import::import_tar(self.store, tar, expected, limits)
    }

    /// Writes the layer's tar, the one whose digest is the DiffID. After an error, what was written
    /// is to be thrown away. A layer that another tool made needs its blob for this.
    pub fn write_tar(&self, diff_id: &DiffId, mut out: impl Write) -> Result<(), Error> {
        let record = stored::read_record(self.store, diff_id)?;
        let compressed = stored::read_compressed(self.store, diff_id)?;
        let source = match &record.source {
            Source::Blob(descriptor) => Some(descriptor.as_ref()),
            Source::Tree { .. } => None,
        };
        for descriptor in [source, compressed.as_ref()].into_iter().flatten() {
            let digest = Digest::try_from(descriptor.digest())?;
            match self.store.content().open(&digest) {
                Ok(blob) => return import::write_blob_tar(blob, digest, diff_id, &mut out),
                Err(Error::BlobMissing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        // What Ferry made once, here or elsewhere, its tree gives again.
        match (self.write_tree_tar(diff_id, record.top(), &mut out), source) {
            (Err(Error::DiffIdMismatch { .. }), Some(descriptor)) => {
                Err(Error::BlobMissing(Digest::try_from(descriptor.digest())?))
            }
            (result, _) => result,
        }
    }

    /// The layer as gzip, with the same bytes on every machine: on all cores, and only once.
    pub fn compress(&self, diff_id: &DiffId) -> Result<Descriptor, Error> {
        if let Some(descriptor) = stored::read_compressed(self.store, diff_id)?
            && self.store.content().has(&Digest::try_from(descriptor.digest())?)
        {
            return Ok(descriptor);
        }
        let writing = || Error::file("write to", self.store.folder(folder::TMP));
        let mut gzip = ParallelGzip::new(self.store.content().ingest()?).map_err(writing())?;
        self.write_tar(diff_id, &mut gzip)?;
        let descriptor = import::commit_gzip(gzip.finish().map_err(writing())?)?;
        stored::write_compressed(self.store, diff_id, &descriptor)?;
        Ok(descriptor)
    }

    /// All unpacked layers, in no order.
    pub fn list(&self) -> Result<Vec<DiffId>, Error> {
        let paths = list(&self.store.folder(folder::LAYERS))?;
        let diff_id_of = |path: &PathBuf| format!("sha256:{}", file_name(path)).parse().ok();
        Ok(paths.iter().filter_map(diff_id_of).collect())
    }

    /// Number of layers and the sum of their sizes.
    pub(crate) fn usage(&self) -> Result<(u64, u64), Error> {
        let mut usage = (0, 0);
        for diff_id in self.list()? {
            // One that goes away meanwhile, or is damaged, counts as empty.
            usage = (usage.0 + 1, usage.1 + self.size(&diff_id).unwrap_or(0));
        }
        Ok(usage)
    }

    fn write_tree_tar(&self, diff_id: &DiffId, top: diff::Top, out: &mut impl Write) -> Result<(), Error> {
        let tree = stored::open_folder(&stored::folder_of(self.store, diff_id).join(stored::TREE))?;
        let options = DiffOptions {
            clamp: None,
            settle: Settle::Leave,
            top,
            lower: None,
            naming: Naming::Layer,
        };
        let mut out = BufWriter::with_capacity(256 << 10, Tap::new(out));
        diff::write(tree.as_fd(), &mut out, &options)?;
        out.flush().map_err(Error::Output)?;
        let actual = DiffId(out.get_ref().hasher.clone().finish());
        if actual != *diff_id {
            return Err(Error::DiffIdMismatch {
                blob: diff_id.0,
                expected: *diff_id,
                actual,
            });
        }
        Ok(())
    }
}

/// Passes bytes on and takes their digest.
struct Tap<W> {
    out: W,
    hasher: Hasher,
}

impl<W> Tap<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            hasher: Hasher::new(),
        }
    }
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.hasher.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
