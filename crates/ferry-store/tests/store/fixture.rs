//! A store in a temporary folder, layers to put into it, and images made of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ferry_oci::{Descriptor, DiffId, Digest, Platform, media_type};
use ferry_store::{Error, Limits, SnapshotId, Store};
use serde_json::json;

use crate::tarball::Tarball;

/// A store that is removed at the end of the test.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    /// The store is in `store/`; everything beside it is outside.
    pub(crate) folder: tempfile::TempDir,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// A layer's blob and what describes it.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: DiffId,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self { store, folder }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Opens the store again, as after a restart.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, folder } = self;
        let root = store.root().to_owned();
        drop(store);
        let store = Store::open(&root).unwrap();
        Self { store, folder }
    }

    /// Imports `tar` as a gzip layer.
    pub(crate) fn layer(&self, tar: &[u8]) -> Result<Packed, Error> {
        let packed = pack(tar, Packing::Gzip);
        self.import(&packed)?;
        Ok(packed)
    }

    pub(crate) fn import(&self, packed: &Packed) -> Result<(), Error> {
        self.store.layers().import(
            &packed.bytes[..],
            &packed.descriptor,
            &packed.diff_id,
            &Limits::default(),
        )
    }

    /// Where the unpacked layer is.
    pub(crate) fn tree(&self, packed: &Packed) -> PathBuf {
        self.store.layers().path(&packed.diff_id).unwrap()
    }

    /// Writes config and manifest of an image of `layers`, and returns the manifest's descriptor.
    pub(crate) fn manifest(&self, layers: &[&Packed], platform: &str) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
        let config = json!({
            "architecture": platform.architecture,
            "variant": platform.variant,
            "os": platform.os,
            "config": {"Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [{"created_by": "first"}, {"created_by": "ENV", "empty_layer": true}],
        });
        let config = self.write(media_type::OCI_CONFIG, &config);
        let layers: Vec<_> = layers.iter().map(|layer| &layer.descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        });
        self.write(media_type::OCI_MANIFEST, &manifest)
    }

    /// Writes an index of `manifests`, each for a platform.
    pub(crate) fn index(&self, manifests: &[(&Descriptor, &str)]) -> Descriptor {
        let manifests: Vec<_> = manifests
            .iter()
            .map(|(descriptor, platform)| {
                let platform: Platform = platform.parse().unwrap();
                let mut value = serde_json::to_value(descriptor).unwrap();
                value["platform"] = serde_json::to_value(platform).unwrap();
                value
            })
            .collect();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": manifests,
        });
        self.write(media_type::OCI_INDEX, &index)
    }

    pub(crate) fn write(&self, media_type: &str, value: &serde_json::Value) -> Descriptor {
        let bytes = value.to_string().into_bytes();
        let digest = self.store.content().write(&bytes).unwrap();
        Descriptor::new(media_type.into(), bytes.len() as u64, digest)
    }

    /// That nothing half-made is left.
    pub(crate) fn assert_tidy(&self) {
        let left: Vec<_> = fs::read_dir(self.root().join("tmp")).unwrap().collect();
        assert!(left.is_empty(), "left in tmp: {left:?}");
    }
}

/// Compresses `tar`.
pub(crate) fn pack(tar: &[u8], packing: Packing) -> Packed {
    let (media_type, bytes) = match packing {
        Packing::Plain => (media_type::OCI_LAYER_TAR, tar.to_vec()),
        Packing::Gzip => (media_type::OCI_LAYER_GZIP, gzip(tar)),
        Packing::Zstd => (media_type::OCI_LAYER_ZSTD, zstd::encode_all(tar, 3).unwrap()),
    };
    Packed {
        descriptor: Descriptor::new(media_type.into(), bytes.len() as u64, Digest::of(&bytes)),
        diff_id: DiffId(Digest::of(tar)),
        bytes,
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layer of one file.
pub(crate) fn simple(name: &str, data: &[u8]) -> Vec<u8> {
    Tarball::new().file(name, data).finish()
}

pub(crate) fn snapshot_id(name: &str) -> SnapshotId {
    name.parse().unwrap()
}

/// Whether `test` can run; says so if it cannot.
pub(crate) fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("{test}: skipped: needs root");
    }
    is_root
}

/// Everything below `folder`, for comparison: path → kind, mode, owner, device, time, content.
pub(crate) fn inventory(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let content = if kind.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if kind.is_symlink() {
            format!("{:?}", fs::read_link(&path).unwrap())
        } else if kind.is_file() {
            Digest::of(&fs::read(&path).unwrap()).short()
        } else {
            format!("{:x}", metadata.rdev())
        };
        let summary = format!(
            "{:o} {}:{} {}.{} {content}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        );
        found.insert(path.strip_prefix(folder).unwrap().to_owned(), summary);
    }
    found
}

/// The value of an extended attribute, if there is one.
pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(4096);
    rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).ok()?;
    Some(value)
}

/// Whether `path` is overlayfs's whiteout.
pub(crate) fn is_whiteout(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device() && metadata.rdev() == 0)
}
