//! The engine's own folders: made with their mode whatever the umask, removed without complaint.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::container::Error;

/// Makes `path` with mode 0700, and what is missing above it; it may exist.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    create_with_mode(path, 0o700)
}

/// Makes `path` with `mode`; it may exist.
pub(crate) fn create_with_mode(path: &Path, mode: u32) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
}

/// Removes `path` and what is in it; what cannot be removed is said in the log.
pub(crate) fn remove(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove");
        }
        _ => {}
    }
}

/// Removes the file `path`, if there is one; what cannot be removed is said in the log.
pub(crate) fn remove_file(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove");
        }
        _ => {}
    }
}
