//! The store as a whole: opening, recovery, syncing, and the handles to its parts.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ferry_oci::{Descriptor, DiffId, Platform};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::durability::Pending;
use crate::image::Names;
use crate::layer::stored::LayerRecord;
use crate::lease::Protection;
use crate::trash::Emptier;
use crate::{
    Content, Durability, Error, Image, Images, Layers, Lease, PlatformEntry, Reclaimed, Roots, Snapshots, image, record,
};

/// What OCI image-spec `image-layout.md` wants in `oci-layout`.
const OCI_LAYOUT: &[u8] = b"{\"imageLayoutVersion\":\"1.0.0\"}";

/// A store below one root. Cheap to clone; the root is free again when the last clone is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// The store's state, shared by its handles.
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    /// The root itself: locked while the store is open, and what `syncfs` is called on.
    root_fd: OwnedFd,
    pub(crate) pending: Pending,
    pub(crate) protection: Protection,
    pub(crate) names: Names,
    /// Records of layers that were asked for; a layer is a constant, so they are never wrong.
    pub(crate) layer_records: Mutex<HashMap<DiffId, Arc<LayerRecord>>>,
    /// Held while garbage is collected.
    pub(crate) sweep: Mutex<()>,
    emptier: Emptier,
    counter: AtomicU64,
}

/// Bytes on disk, by what they are for. Sizes are those of files' contents, not of their blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of blobs.
    pub blobs: u64,
    /// Their sizes.
    pub blob_bytes: u64,
    /// Number of unpacked layers.
    pub layers: u64,
    /// Their sizes.
    pub layer_bytes: u64,
    /// Number of snapshots.
    pub snapshots: u64,
}

/// The folders below the root. All are made with mode 0700 under any umask.
pub(crate) mod folder {
    pub(crate) const BLOBS: &str = "blobs/sha256";
    pub(crate) const LAYERS: &str = "layers";
    pub(crate) const SNAPSHOTS: &str = "snapshots";
    pub(crate) const IMAGES: &str = "images";
    pub(crate) const TMP: &str = "tmp";
    pub(crate) const TRASH: &str = "trash";
    pub(crate) const PENDING: &str = "pending";
    pub(super) const ALL: [&str; 8] = ["blobs", BLOBS, LAYERS, SNAPSHOTS, IMAGES, TMP, TRASH, PENDING];
}

impl Store {
    /// Opens the store below `root`, making it if there is none.
    ///
    /// What a crash left half-done is moved to the trash, so that opening takes milliseconds; call
    /// [`Store::empty_trash`] afterwards, in the background. After a power cut, blobs and layers that
    /// no sync has covered are dropped: nothing refers to them, and their bytes may be missing.
    pub fn open(root: &Path) -> Result<Self, Error> {
        make_folder(root, 0o710)?;
        let root_fd = lock(root)?;
        for name in folder::ALL {
            make_folder(&root.join(name), 0o700)?;
        }
        check_attributes(root, root_fd.as_fd())?;
        write_layout(root)?;
        let pending = Pending::open(root, root_fd.as_fd())?;
        let names = Names::read(&root.join(folder::IMAGES))?;
        let store = Self(Arc::new(Inner {
            root: root.to_owned(),
            root_fd,
            pending,
            protection: Protection::default(),
            names,
            layer_records: Mutex::default(),
            sweep: Mutex::default(),
            emptier: Emptier::default(),
            counter: AtomicU64::new(0),
        }));
        store.discard_leftovers()?;
        store.snapshots().discard_broken()?;
        store.images().write_index()?;
        Ok(store)
    }

    /// The folder that the store was opened on.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Blobs by digest.
    pub fn content(&self) -> Content<'_> {
        Content::new(self)
    }

    /// Unpacked layers by DiffID.
    pub fn layers(&self) -> Layers<'_> {
        Layers::new(self)
    }

    /// Writable roots on stacks of layers.
    pub fn snapshots(&self) -> Snapshots<'_> {
        Snapshots::new(self)
    }

    /// Images by name.
    pub fn images(&self) -> Images<'_> {
        Images::new(self)
    }

    /// The image that `target`, an index or a manifest, holds for `platform`.
    ///
    /// Of an index, the manifest that fits best and whose blobs are here. The layers need not be
    /// unpacked or present: ask [`Layers::has`].
    pub fn image(&self, target: &Descriptor, platform: &Platform) -> Result<Image, Error> {
        image::find(self, target, platform)
    }

    /// The platforms that `target` is made for, in its own order, and how much of each is here.
    pub fn platforms(&self, target: &Descriptor) -> Result<Vec<PlatformEntry>, Error> {
        image::platforms(self, target)
    }

    /// Keeps content and layers that are added or looked up from now on from being collected, until
    /// the lease is dropped.
    pub fn lease(&self) -> Lease {
        Lease::new(self)
    }

    /// Removes blobs and layers that no image, no snapshot, no lease and none of `roots` holds.
    ///
    /// Reference counting is by reachability: a manifest holds its config, layer blobs and unpacked
    /// layers; an index holds what is present of its manifests. What is removed moves to the trash.
    pub fn gc(&self, roots: &Roots) -> Result<Reclaimed, Error> {
        crate::gc::collect(self, roots)
    }

    /// Deletes what [`Store::gc`], [`Snapshots::remove`] and recovery moved to the trash. Slow: for a
    /// background thread. What cannot be deleted stays, is logged, and is tried again the next time.
    /// Returns at once if another thread is at it, which then deletes what is there by now, too.
    pub fn empty_trash(&self) -> Result<(), Error> {
        self.0.emptier.run(&self.folder(folder::TRASH))
    }

    /// [`Store::empty_trash`], which when it returns has deleted what was in the trash before.
    pub fn empty_trash_and_wait(&self) -> Result<(), Error> {
        self.0.emptier.run_in_turn(&self.folder(folder::TRASH))
    }

    /// Makes everything written so far survive a power cut: one `syncfs(2)` for all of it.
    ///
    /// Call it before a durable record comes to refer to content or layers; [`Images::put`] does.
    pub fn sync(&self) -> Result<(), Error> {
        self.0.pending.sync(self.0.root_fd.as_fd())
    }

    /// How much is stored.
    pub fn usage(&self) -> Result<Usage, Error> {
        let (blobs, blob_bytes) = self.content().usage()?;
        let (layers, layer_bytes) = self.layers().usage()?;
        Ok(Usage {
            blobs,
            blob_bytes,
            layers,
            layer_bytes,
            snapshots: self.snapshots().list()?.len() as u64,
        })
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.0.root.join(name)
    }

    /// A path in `tmp/` that nothing else uses.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.folder(folder::TMP).join(self.unique())
    }

    /// Takes what is at `path` away at once; its bytes go when the trash is emptied.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), Error> {
        let grave = self.folder(folder::TRASH).join(self.unique());
        match fs::rename(path, grave) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::file("remove", path)(error)),
        }
    }

    /// A name that no other call in this process or an earlier one returns.
    fn unique(&self) -> String {
        let count = self.0.counter.fetch_add(1, Ordering::Relaxed);
        let now = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
        format!("{now:x}-{}-{count}", std::process::id())
    }

    fn discard_leftovers(&self) -> Result<(), Error> {
        for entry in list(&self.folder(folder::TMP))? {
            self.discard(&entry)?;
        }
        for name in [folder::IMAGES, folder::LAYERS, folder::SNAPSHOTS] {
            for path in list(&self.folder(name))? {
                if file_name(&path).starts_with(".new-") {
                    self.discard(&path)?;
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.root).finish()
    }
}

/// The entries of one of the store's own folders, in no order.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    entries
        .map(|entry| Ok(entry.map_err(Error::file("list", folder))?.path()))
        .collect()
}

/// The last part of the path of one of the store's own files, whose names are ASCII.
pub(crate) fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Makes one folder of the store; its mode does not depend on the umask.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(Error::file("create", path))
}

fn lock(root: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root_fd = rustix::fs::open(root, flags, Mode::empty()).map_err(Error::file("open", root))?;
    match rustix::fs::flock(&root_fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(root_fd),
        Err(Errno::WOULDBLOCK) => Err(Error::Locked { root: root.to_owned() }),
        Err(errno) => Err(Error::file("lock", root)(errno)),
    }
}

/// Layers need attributes of the `trusted.` kind; better said now than in the middle of a pull.
fn check_attributes(root: &Path, root_fd: BorrowedFd<'_>) -> Result<(), Error> {
    let mut value = [0; 1];
    match rustix::fs::fgetxattr(root_fd, "trusted.overlay.opaque", &mut value) {
        Err(Errno::NOTSUP) => Err(Error::Unsuitable {
            root: root.to_owned(),
            feature: "extended attributes",
        }),
        _ => Ok(()),
    }
}

fn write_layout(root: &Path) -> Result<(), Error> {
    let path = root.join("oci-layout");
    match File::open(&path) {
        Ok(_) => Ok(()),
        Err(_) => record::write_bytes(&path, OCI_LAYOUT, Durability::Volatile),
    }
}
