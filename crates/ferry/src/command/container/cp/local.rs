//! This machine's side of a copy: what is there, and what is asked for.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::Kind;
use super::path::{base, clean, ends_in_slash, folder, join, preserve_end, renamed, split_entry};
use crate::failure::{Explain, Failure};

/// What is copied to a container.
#[derive(Debug)]
pub(super) struct Source {
    /// The directory that it lies in; for a directory it may be itself, with the entry `.`.
    pub(super) folder: String,
    /// Its name there.
    pub(super) entry: String,
    /// Its name in the archive.
    pub(super) name: String,
    pub(super) is_directory: bool,
}

impl Source {
    pub(super) fn find(path: &str, follow_link: bool) -> Result<Self, Failure> {
        let (resolved, renamed) = if follow_link {
            renamed(path, &real(path)?)
        } else {
            let slash = path.rfind('/').map_or(0, |slash| slash + 1);
            let (above, name) = path.split_at(slash);
            let resolved = format!("{}/{name}", real(above)?.trim_end_matches('/'));
            let name = (ends_in_slash(path) && base(path) != base(&resolved)).then(|| base(path).to_owned());
            (resolved, name)
        };
        let metadata = fs::symlink_metadata(&resolved).explain(|| format!("cannot copy {path}"))?;
        let (folder, entry) = split_entry(&resolved);
        Ok(Self {
            name: renamed.unwrap_or_else(|| entry.clone()),
            folder,
            entry,
            is_directory: metadata.is_dir(),
        })
    }
}

/// Where a copy from a container goes.
#[derive(Debug)]
pub(super) struct Destination {
    /// Its path; links at its end are followed.
    pub(super) path: String,
    pub(super) kind: Kind,
}

const MAX_LINKS: u32 = 10;

impl Destination {
    pub(super) fn find(path: &str) -> Result<Self, Failure> {
        let mut path = path.to_owned();
        for _ in 0..=MAX_LINKS {
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let (above, _) = split_entry(&path);
                    let above = fs::metadata(&above).explain(|| format!("cannot copy to {path}"))?;
                    if !above.is_dir() {
                        return Err(Failure::new(format!("cannot copy to {path}: not a directory")));
                    }
                    let kind = Kind::Missing;
                    return Ok(Self { path, kind });
                }
                Err(error) => return Err(error).explain(|| format!("cannot copy to {path}")),
            };
            if !metadata.is_symlink() {
                let kind = if metadata.is_dir() {
                    Kind::Directory
                } else {
                    Kind::Other
                };
                return Ok(Self { path, kind });
            }
            let target = fs::read_link(&path).explain(|| format!("cannot follow {path}"))?;
            let target = target.to_string_lossy();
            path = match target.starts_with('/') {
                true => target.into_owned(),
                false => join(&split_entry(&path).0, &target),
            };
        }
        Err(Failure::new(format!("cannot copy to {path}: too many links")))
    }
}

/// The path from the root, with its end as it was given.
pub(super) fn absolute(path: &str) -> Result<String, Failure> {
    let here = std::env::current_dir().explain(|| "cannot tell the current folder")?;
    let cleaned = match path.starts_with('/') {
        true => clean(path),
        false => join(&here.to_string_lossy(), path),
    };
    Ok(preserve_end(&cleaned, path))
}

/// Whether something can be written there, before anything is asked for.
pub(super) fn check_destination(path: &str) -> Result<(), Failure> {
    let above = folder(&clean(path));
    if !Path::new(&above).exists() {
        return Err(Failure::new(format!(
            "invalid output path: directory {above:?} does not exist"
        )));
    }
    let kind = fs::metadata(path).map(|metadata| metadata.file_type());
    if kind.is_ok_and(|kind| kind.is_char_device() || kind.is_block_device()) {
        return Err(Failure::new(format!(
            "invalid output path: {path:?} must be a directory or a regular file: got a device"
        )));
    }
    Ok(())
}

fn real(path: &str) -> Result<String, Failure> {
    let real = fs::canonicalize(path).explain(|| format!("cannot copy {path}"))?;
    Ok(real.to_string_lossy().into_owned())
}
