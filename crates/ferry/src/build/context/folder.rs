//! A folder of the user, read by descriptor: its files in fsutil's order, their content, their links.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ferry_build::ignore::PatternError;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat, statat};

use super::follow;
use super::{Asked, Entry, Selection};
use crate::build::context::selection::Verdict;

/// Folders within one another that are walked; each holds a descriptor open.
const DEEPEST: usize = 512;

/// Why a context cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(in crate::build) enum WalkError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name that is not UTF-8 cannot be sent.
    #[error("the name {0:?} in the build context is not UTF-8; exclude it by .dockerignore")]
    Name(String),
    /// Folders within one another without end.
    #[error("the build context has more than {DEEPEST} folders within one another at {0}")]
    TooDeep(String),
    /// A pattern is malformed.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Whoever is sent to went away.
    #[error("the engine does not take the files any more")]
    Unwanted,
}

/// A folder of the user.
#[derive(Debug)]
pub(in crate::build) struct Folder {
    path: PathBuf,
    root: OwnedFd,
}

impl Folder {
    /// Opens it.
    pub(in crate::build) fn open(path: &Path) -> io::Result<Self> {
        let root = openat(
            CWD,
            path,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            path: path.to_owned(),
            root,
        })
    }

    /// Gives what is asked for to `send`: folders before what is in them, names in byte order.
    pub(in crate::build) fn walk(
        &self,
        asked: &Asked,
        send: &mut dyn FnMut(Entry) -> Result<(), WalkError>,
    ) -> Result<(), WalkError> {
        let mut include = asked.include.clone();
        let mut walk = Walk {
            folder: self,
            selection: Selection::new(&[], &[])?,
            pending: Vec::new(),
            first_names: HashMap::new(),
            send,
        };
        if !asked.follow.is_empty() {
            include.extend(follow::links(self, &asked.follow));
        }
        walk.selection = Selection::new(&include, &asked.exclude)?;
        let root = openat(
            &self.root,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| self.failed("", errno))?;
        walk.below(root, "", 0)
    }

    /// The content of a regular file below it; no link is followed, none of its folders either.
    pub(in crate::build) fn content(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat2(
            &self.root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )?;
        Ok(File::from(file))
    }

    /// The names in a folder below it.
    pub(super) fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH)?;
        let mut names = Vec::new();
        for entry in Dir::new(folder)? {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Where the link at `path` points, if it is one.
    pub(super) fn link(&self, path: &str) -> Option<String> {
        readlinkat(&self.root, path, Vec::new()).ok()?.into_string().ok()
    }

    fn failed(&self, path: &str, errno: rustix::io::Errno) -> WalkError {
        WalkError::Read {
            path: self.path.join(path),
            source: errno.into(),
        }
    }
}

struct Walk<'a> {
    folder: &'a Folder,
    selection: Selection,
    /// Folders that are left out themselves, until something below them is sent.
    pending: Vec<Entry>,
    /// The first name of each file that has several.
    first_names: HashMap<(u64, u64), String>,
    send: &'a mut dyn FnMut(Entry) -> Result<(), WalkError>,
}

impl Walk<'_> {
    fn below(&mut self, folder: OwnedFd, path: &str, depth: usize) -> Result<(), WalkError> {
        if depth > DEEPEST {
            return Err(WalkError::TooDeep(path.to_owned()));
        }
        for name in self.sorted_names(&folder, path)? {
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            let verdict = self.selection.verdict(&below);
            if verdict == Verdict::LeaveOut {
                continue;
            }
            self.one(&folder, &name, below, verdict, depth)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        above: &OwnedFd,
        name: &str,
        path: String,
        verdict: Verdict,
        depth: usize,
    ) -> Result<(), WalkError> {
        let metadata = match statat(above, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(metadata) => metadata,
            // Went while we walked.
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(self.folder.failed(&path, errno)),
        };
        let kind = FileType::from_raw_mode(metadata.st_mode);
        let is_folder = kind == FileType::Directory;
        if verdict == Verdict::LookBelow && !is_folder {
            return Ok(());
        }
        let link = match kind {
            FileType::Symlink => {
                let target = readlinkat(above, name, Vec::new()).map_err(|errno| self.folder.failed(&path, errno))?;
                Some(target.into_string().map_err(|_| WalkError::Name(path.clone()))?)
            }
            _ => None,
        };
        let Some(mut entry) = Entry::new(path.clone(), &metadata, link) else {
            return Ok(());
        };
        if entry.is_regular && metadata.st_nlink > 1 {
            match self.first_names.get(&(metadata.st_dev, metadata.st_ino)) {
                Some(first) => entry = entry.linked_to(first.clone()),
                None => {
                    self.first_names
                        .insert((metadata.st_dev, metadata.st_ino), path.clone());
                }
            }
        }
        let pending = self.pending.len();
        if verdict == Verdict::Send {
            for above in std::mem::take(&mut self.pending) {
                (self.send)(above)?;
            }
            (self.send)(entry)?;
        } else {
            self.pending.push(entry);
        }
        if is_folder {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = openat(above, name, flags, Mode::empty()).map_err(|errno| self.folder.failed(&path, errno))?;
            self.below(folder, &path, depth + 1)?;
            // Nothing below it was sent.
            if verdict == Verdict::LookBelow {
                self.pending.truncate(pending);
            }
        }
        Ok(())
    }

    fn sorted_names(&self, folder: &OwnedFd, path: &str) -> Result<Vec<String>, WalkError> {
        let failed = |errno| self.folder.failed(path, errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name: &CStr = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match name.to_str() {
                Ok(name) => names.push(name.to_owned()),
                Err(_) => {
                    let shown = name.to_string_lossy();
                    let below = if path.is_empty() {
                        shown.into_owned()
                    } else {
                        format!("{path}/{shown}")
                    };
                    // One that is not asked for does not matter.
                    if self.selection.verdict(&below) == Verdict::Send {
                        return Err(WalkError::Name(below));
                    }
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(asked: &Asked) -> Vec<String> {
        let temporary = tempfile::tempdir().expect("a folder");
        let root = temporary.path();
        for folder in ["a/b", "a-b", "empty", "skip/keep"] {
            std::fs::create_dir_all(root.join(folder)).expect("folders");
        }
        for file in ["a/b/file", "a/x.o", "a-b/file", "skip/keep/file", "skip/other", "zero"] {
            std::fs::write(root.join(file), file).expect("a file");
        }
        std::fs::hard_link(root.join("zero"), root.join("zz")).expect("a link");
        std::os::unix::fs::symlink("a", root.join("link")).expect("a link");
        let folder = Folder::open(root).expect("a folder");
        let mut sent = Vec::new();
        folder
            .walk(asked, &mut |entry| {
                let link = entry.stat().linkname;
                sent.push(if link.is_empty() {
                    entry.path
                } else {
                    format!("{} -> {link}", entry.path)
                });
                Ok(())
            })
            .expect("a walk");
        sent
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn files_are_sent_in_the_receiver_s_order() {
        assert_eq!(
            sent(&Asked::default()),
            [
                "a",
                "a/b",
                "a/b/file",
                "a/x.o",
                "a-b",
                "a-b/file",
                "empty",
                "link -> a",
                "skip",
                "skip/keep",
                "skip/keep/file",
                "skip/other",
                "zero",
                "zz -> zero"
            ]
        );
    }

    #[test]
    fn folders_that_are_left_out_come_with_what_is_kept_in_them() {
        let asked = Asked {
            exclude: texts(&["skip", "!skip/keep/file", "**/*.o", "empty"]),
            include: texts(&["a", "skip", "empty"]),
            follow: Vec::new(),
        };
        assert_eq!(
            sent(&asked),
            ["a", "a/b", "a/b/file", "skip", "skip/keep", "skip/keep/file"]
        );
    }

    #[test]
    fn followed_paths_bring_their_links() {
        let asked = Asked {
            follow: texts(&["link/b", "Dockerfile"]),
            ..Asked::default()
        };
        assert_eq!(sent(&asked), ["a", "a/b", "a/b/file", "link -> a"]);
    }
}
