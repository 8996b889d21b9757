//! The folder of all containers' state, a folder each.

use std::{
    fmt, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::Error;

/// A container's id: letters, digits, `_`, `+`, `-` and `.`, so that it can name a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerId(String);

const ID_MAX_BYTES: usize = 1024;

impl ContainerId {
    /// Checks an id.
    pub fn parse(id: &str) -> Result<ContainerId, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id.len() > ID_MAX_BYTES || id == "." || id == ".." || !id.bytes().all(fits) {
            return Err(Error::InvalidId { id: id.to_owned() });
        }
        Ok(ContainerId(id.to_owned()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where containers' state is, as `--root` says: a folder on a tmpfs.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at this path, which need not exist.
    #[must_use]
    pub fn new(root: PathBuf) -> Home {
        Home { root }
    }

    /// The same home, whatever folder is entered.
    pub fn absolute(&self) -> io::Result<Home> {
        Ok(Home {
            root: std::path::absolute(&self.root)?,
        })
    }

    /// A container's folder.
    pub(super) fn folder(&self, id: &ContainerId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// Makes a container's folder, which must not exist.
    pub(super) fn claim(&self, id: &ContainerId) -> Result<PathBuf, Error> {
        let folder = self.folder(id);
        let mut private = fs::DirBuilder::new();
        private.mode(0o700);
        match private.create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private
                    .recursive(true)
                    .create(&self.root)
                    .map_err(Error::file("make", &self.root))?;
                private.recursive(false).create(&folder)
            }
            made => made,
        }
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { id: id.to_string() },
            _ => Error::file("make", &folder)(error),
        })?;
        Ok(folder)
    }

    /// The ids of all containers, sorted. A home that does not exist has none.
    pub fn ids(&self) -> Result<Vec<ContainerId>, Error> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::file("list", &self.root))?,
        };
        let mut ids: Vec<ContainerId> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| ContainerId::parse(&entry.file_name().to_string_lossy()).ok())
            .collect();
        ids.sort_unstable_by(|left, right| left.as_str().cmp(right.as_str()));
        Ok(ids)
    }
}

/// Replaces a file in one step.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Error::file("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_folders_and_nothing_else() {
        for good in ["a", "A-1_x.y+z", "..a"] {
            assert_eq!(ContainerId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "../x", "a b", "ä", &"x".repeat(1025)] {
            assert!(ContainerId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
