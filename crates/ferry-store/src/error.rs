//! What can go wrong in the store, with the facts that a person or a retry needs.

use std::io;
use std::path::{Path, PathBuf};

use ferry_oci::{DiffId, Digest, DigestError, DocumentError, Platform, Reference, ReferenceError};

use crate::SnapshotId;

/// Any failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the store could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("store {root} is in use by another engine")]
    Locked {
        /// The store's root.
        root: PathBuf,
    },
    /// The store's file system lacks something that layers need.
    #[error(
        "the file system of {root} cannot hold layers: {feature} is not supported there; hint: choose another data root"
    )]
    Unsuitable {
        /// The store's root.
        root: PathBuf,
        /// What is missing.
        feature: &'static str,
    },
    /// The stream that content was read from failed; trying again may help.
    #[error("reading the content failed: {0}")]
    Input(#[source] io::Error),
    /// The stream that content is written to failed.
    #[error("writing the content failed: {0}")]
    Output(#[source] io::Error),
    /// A blob is not in the store.
    #[error("blob {0} is not in the store")]
    BlobMissing(Digest),
    /// A layer is not in the store.
    #[error("layer {0} is not in the store")]
    LayerMissing(DiffId),
    /// A snapshot does not exist.
    #[error("snapshot {0} does not exist")]
    SnapshotMissing(SnapshotId),
    /// A snapshot of that name exists already.
    #[error("snapshot {0} exists already")]
    SnapshotExists(SnapshotId),
    /// A snapshot's name has characters that cannot be a folder's name.
    #[error("invalid snapshot name {0:?}: expected letters, digits, '-', '_' and '.', at most 128")]
    SnapshotName(String),
    /// No image of that name.
    #[error("no such image: {}", .0.familiar())]
    ImageMissing(Box<Reference>),
    /// The image has no manifest for the wanted platform.
    #[error("image has no manifest for platform {wanted}; it has {}", list(available))]
    PlatformMissing {
        /// What was asked for.
        wanted: Box<Platform>,
        /// What the image is made for.
        available: Vec<Platform>,
    },
    /// Content is not what its digest says.
    #[error("content has digest {actual} where {expected} was expected")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Content is not as long as its descriptor says.
    #[error("content of {digest} has {actual_bytes} bytes where {expected_bytes} were expected")]
    SizeMismatch {
        /// What was asked for.
        digest: Digest,
        /// The size that was promised.
        expected_bytes: u64,
        /// The size that came; when more came than was promised, where reading stopped.
        actual_bytes: u64,
    },
    /// A layer's tar is not what the image's config says.
    #[error("layer {blob} unpacks to DiffID {actual} where the image's config says {expected}")]
    DiffIdMismatch {
        /// The compressed blob.
        blob: Digest,
        /// What the config says.
        expected: DiffId,
        /// What was unpacked.
        actual: DiffId,
    },
    /// A document is larger than it may be.
    #[error("blob {digest} of {size_bytes} bytes is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// Its size.
        size_bytes: u64,
        /// The bound.
        limit_bytes: u64,
    },
    /// The media type is not a layer's.
    #[error("media type {0:?} is not that of a layer")]
    NotALayer(String),
    /// The compressed stream is not what its media type says, or damaged.
    #[error("layer is not valid {format}: {source}")]
    Compression {
        /// gzip or zstd.
        format: &'static str,
        /// The decoder's words.
        source: io::Error,
    },
    /// A layer's tar is malformed.
    #[error("malformed tar: {0}")]
    Tar(#[from] TarError),
    /// An entry of a layer was refused.
    #[error("refused entry {path:?}: {reason}")]
    Entry {
        /// The entry's name, lossily as text.
        path: String,
        /// Why.
        reason: EntryError,
    },
    /// An entry of an archive would take the place of something of another kind.
    #[error("cannot overwrite {existing} {:?} with {new}", format!("/{path}"))]
    Overwrite {
        /// What is there.
        existing: &'static str,
        /// Where, from the top.
        path: String,
        /// What was to come.
        new: &'static str,
    },
    /// A layer is larger than allowed.
    #[error("layer exceeds the limit of {limit} {what}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A manifest, index or config could not be read.
    #[error("blob {digest}: {source}")]
    Document {
        /// Which.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// A descriptor's digest is unusable.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Config and manifest disagree about the number of layers.
    #[error("manifest {manifest} names {manifest_layers} layers and its config {config_layers}")]
    LayerCount {
        /// The manifest.
        manifest: Digest,
        /// Layers of the manifest.
        manifest_layers: usize,
        /// DiffIDs of the config.
        config_layers: usize,
    },
    /// An image archive could not be understood.
    #[error("cannot load archive: {0}")]
    Archive(#[from] ArchiveError),
    /// A record of the store could not be understood.
    #[error("record {path}: {reason}")]
    Record {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: RecordError,
    },
}

/// Why a tar stream is malformed.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream ends inside an entry.
    #[error("unexpected end of the archive")]
    Truncated,
    /// A header's checksum is wrong.
    #[error("bad checksum of a header at byte {offset}")]
    Checksum {
        /// Where in the uncompressed stream.
        offset: u64,
    },
    /// A number in a header is not a number.
    #[error("bad {field} in a header at byte {offset}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where in the uncompressed stream.
        offset: u64,
    },
    /// A PAX record is malformed.
    #[error("bad PAX record at byte {offset}")]
    Pax {
        /// Where in the uncompressed stream.
        offset: u64,
    },
    /// Long names or PAX records are larger than any real one.
    #[error("extension header of {size_bytes} bytes is larger than {limit_bytes}")]
    Extension {
        /// Its size.
        size_bytes: u64,
        /// The bound.
        limit_bytes: u64,
    },
}

/// Why an entry was refused. Sources: OCI image-spec `layer.md`, overlayfs's documentation.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// `..` leads out of the layer.
    #[error("its name leads out of the layer")]
    Escapes,
    /// The name is empty, holds a NUL, or is `.wh.` alone.
    #[error("its name is not a file name")]
    Name,
    /// The path is too long or too deep.
    #[error("its path is longer than {limit} {unit}")]
    PathTooLong {
        /// The bound.
        limit: usize,
        /// bytes or folders
        unit: &'static str,
    },
    /// Something above it is not a directory.
    #[error("{0:?} above it is not a directory")]
    ParentNotDirectory(String),
    /// Symbolic links above it go round in circles.
    #[error("too many symbolic links above it")]
    LinkLoop,
    /// A file that a container made is named as a whiteout, which a layer cannot express.
    #[error("its name starts with \".wh.\", which means a deletion in a layer; hint: rename it")]
    WhiteoutName,
    /// A folder above it has a whiteout's name.
    #[error("a folder above it is named as a whiteout")]
    WhiteoutParent,
    /// A hard link to something that is not in the layer.
    #[error("its link target {0:?} is not in the layer")]
    LinkTarget(String),
    /// An attribute that steers overlayfs.
    #[error("attribute {0:?} would steer the overlay file system")]
    OverlayAttribute(String),
    /// An attribute that this kernel or file system refuses.
    #[error("attribute {name:?} cannot be set: {source}")]
    Attribute {
        /// Which.
        name: String,
        /// The kernel's words.
        source: io::Error,
    },
    /// A character device 0:0, which is overlayfs's whiteout.
    #[error("device 0:0 is a whiteout in disguise")]
    WhiteoutDevice,
    /// A type of entry that layers do not have.
    #[error("entries of type {0:?} are not supported")]
    Type(char),
    /// A sparse file.
    #[error("sparse files are not supported; hint: create the archive without --sparse")]
    Sparse,
    /// The kernel refused.
    #[error("cannot {action}: {source}")]
    Kernel {
        /// What was tried, as a verb.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// Why an image archive could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Neither `index.json` nor `manifest.json` is in it.
    #[error("it holds neither index.json nor manifest.json; hint: a file system is loaded by `import`")]
    NotAnImage,
    /// A file that the archive's own index names is missing.
    #[error("it names {0:?}, which is not in it")]
    FileMissing(String),
    /// A JSON file in it is malformed.
    #[error("{file}: {source}")]
    Malformed {
        /// Its name.
        file: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// A file below `blobs/` is not what its name says.
    #[error("{0:?} is not what its name says")]
    Misnamed(String),
    /// Too many files, or names too long.
    #[error("it exceeds the limit of {limit} {what}")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A tag in it is not a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Config and file list disagree.
    #[error("its config names {config_layers} layers and manifest.json {archive_layers}")]
    LayerCount {
        /// DiffIDs in the config.
        config_layers: usize,
        /// Files in `manifest.json`.
        archive_layers: usize,
    },
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a version of Ferry that this one does not know.
    #[error("it has version {found}, this Ferry knows {known}; hint: run the newer Ferry")]
    Version {
        /// What the file says.
        found: u32,
        /// What the program knows.
        known: u32,
    },
    /// Not JSON of the right shape.
    #[error("malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Error {
    /// A failure of `action` on the store's own file at `path`.
    pub(crate) fn file<E: Into<io::Error>>(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(E) -> Self {
        move |source| Self::File {
            action,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }
}

fn list(platforms: &[Platform]) -> String {
    match platforms {
        [] => "none".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
