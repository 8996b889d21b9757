//! Files that something is mounted on, made once for a stack of layers instead of in every snapshot on it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ferry_oci::DiffId;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::Snapshots;
use super::parents::Stack;
use crate::layer::{directory, stored};
use crate::store::make_folder;
use crate::{Error, Store};

/// Lies beside the topmost layer's tree, and so goes with it.
const FOLDER: &str = "mount-points";
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

impl Snapshots<'_> {
    /// A directory to lay over `layers`, bottom first, in which those of the files `paths`
    /// (`directory/name`) are empty that the layers lack; `None` where there is nothing to add.
    ///
    /// Whoever mounts a file there makes nothing in the snapshot then, which would be found there by
    /// everyone who looks at what the container changed.
    pub fn mount_points(&self, layers: &[DiffId], paths: &[(&str, &str)]) -> Result<Option<PathBuf>, Error> {
        let Some(top) = layers.last() else { return Ok(None) };
        let folder = stored::folder_of(self.store, top).join(FOLDER);
        let place = folder.join(name(layers, paths));
        if !place.exists() {
            let staging = self.store.temporary();
            make_folder(&staging, 0o755)?;
            let made = fill(self.store, &staging, layers, paths).and_then(|()| {
                make_folder(&folder, 0o700)?;
                match fs::rename(&staging, &place) {
                    // Somebody else was faster.
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => self.store.discard(&staging),
                    renamed => renamed.map_err(Error::file("create", &place)),
                }
            });
            if let Err(error) = made {
                self.store.discard(&staging)?;
                return Err(error);
            }
        }
        let has_any = fs::read_dir(&place)
            .map_err(Error::file("list", &place))?
            .next()
            .is_some();
        Ok(has_any.then_some(place))
    }
}

/// Says which files over which layers, in a file name.
fn name(layers: &[DiffId], paths: &[(&str, &str)]) -> String {
    let mut hash = Sha256::new();
    for layer in layers {
        hash.update(layer.to_string());
    }
    for (directory, file) in paths {
        hash.update(format!("\n{directory}/{file}"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fill(store: &Store, staging: &Path, layers: &[DiffId], paths: &[(&str, &str)]) -> Result<(), Error> {
    let stack = Stack::open(store, layers)?;
    if !stack.corrections()?.is_empty() {
        // A snapshot on these has directories of its own on top: let it have the files too.
        return Ok(());
    }
    let top = stored::open_folder(staging)?;
    let mut made: Vec<(&str, OwnedFd)> = Vec::new();
    for (folder, file) in paths {
        // Not through links, nor where a directory would have to be made: those are the container's to see.
        if !stack.has_directory(folder.as_bytes())? || stack.has_entry(folder.as_bytes(), file.as_bytes())? {
            continue;
        }
        if made.last().is_none_or(|(last, _)| last != folder) {
            rustix::fs::mkdirat(&top, *folder, Mode::RWXU)
                .map_err(|errno| directory::failed(folder.as_bytes(), errno))?;
            let fd = directory::open_beneath(top.as_fd(), folder.as_bytes())
                .map_err(|errno| directory::failed(folder.as_bytes(), errno))?;
            made.push((folder, fd));
        }
        if let Some((_, fd)) = made.last() {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(fd, *file, flags, FILE_MODE)
                .map_err(|errno| directory::failed(folder.as_bytes(), errno))?;
        }
    }
    for (folder, fd) in &made {
        directory::set_metadata(folder.as_bytes(), fd.as_fd(), &stack.effective(folder.as_bytes())?)?;
    }
    stack.top_metadata()?.apply(top.as_fd())
}
