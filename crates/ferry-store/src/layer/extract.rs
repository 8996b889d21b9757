//! How an archive of files is unpacked upon files that are there: where, under which names, in whose name.

use super::limits::Limits;
use super::tree;
use crate::Error;
use crate::tar::read::Metadata;

/// Where and how an archive is extracted.
#[derive(Debug, Clone, Default)]
pub struct Extraction {
    /// The directory that its names are relative to, below the top. It is there; links on the way to it and in
    /// it are followed, within the top.
    pub folder: Vec<u8>,
    /// What may make room for an entry.
    pub replacing: Replacing,
    /// Who owns what is made.
    pub owner: Owner,
    /// Another name for the archive's one top.
    pub rename: Option<Rename>,
}

/// What may make room for an entry of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replacing {
    /// Whatever is there.
    #[default]
    Anything,
    /// No directory for what is none, nor the reverse.
    SameKind,
}

/// Who owns what is extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owner {
    /// Those whom the archive names.
    #[default]
    Archived,
    /// This user and group.
    Fixed {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Whoever extracts it. Attributes that take privileges are left out without them.
    Caller,
}

/// One name for another, as the first parts of names in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The parts that are there; empty when the archive's top is `/` or `.`.
    pub from: Vec<u8>,
    /// What takes their place.
    pub to: Vec<u8>,
}

impl Extraction {
    /// Where `name` comes to lie below the top; `None` for the directory itself, which stays as it is.
    pub(super) fn place(&self, name: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
        let mut path = tree::clean(name, limits)?;
        if let Some(Rename { from, to }) = &self.rename {
            let rest = match path.strip_prefix(from.as_slice()) {
                Some(rest) if from.is_empty() || rest.is_empty() => Some(rest),
                Some(rest) => rest.strip_prefix(b"/"),
                None => None,
            };
            if let Some(rest) = rest {
                path = match rest {
                    b"" => to.clone(),
                    rest => tree::join(to, rest),
                };
            }
        }
        if path.is_empty() {
            return Ok(None);
        }
        // Again: with its folder it may be too long, and a new name is not to be trusted either.
        tree::clean(&tree::join(&self.folder, &path), limits).map(Some)
    }

    pub(super) fn adapt(&self, metadata: &mut Metadata) {
        match self.owner {
            Owner::Archived => {}
            Owner::Fixed { uid, gid } => (metadata.uid, metadata.gid) = (uid, gid),
            Owner::Caller => {
                let own = rustix::process::geteuid();
                (metadata.uid, metadata.gid) = (own.as_raw(), rustix::process::getegid().as_raw());
                if !own.is_root() {
                    metadata
                        .xattrs
                        .retain(|(name, _)| name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_to_lie_in_the_folder_under_their_new_name() {
        let check = |folder: &str, rename: Option<(&str, &str)>, name: &str, expected: Option<&str>| {
            let extraction = Extraction {
                folder: folder.into(),
                rename: rename.map(|(from, to)| Rename {
                    from: from.into(),
                    to: to.into(),
                }),
                ..Extraction::default()
            };
            let place = extraction.place(name.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(
                place.as_deref(),
                expected.map(str::as_bytes),
                "{folder} {rename:?} {name}"
            );
        };
        check("", None, "a/b", Some("a/b"));
        check("etc/x", None, "a/b/", Some("etc/x/a/b"));
        check("etc/x", None, "./", None);
        check("etc", Some(("a", "c")), "a/", Some("etc/c"));
        check("etc", Some(("a", "c")), "a/a", Some("etc/c/a"));
        check("etc", Some(("a", "c")), "ab/a", Some("etc/ab/a"));
        check("etc", Some(("", "c")), "./", Some("etc/c"));
        check("etc", Some(("", "c")), "/a", Some("etc/c/a"));
        let out = Extraction {
            folder: b"etc".to_vec(),
            ..Extraction::default()
        };
        assert!(out.place(b"../passwd", &Limits::default()).is_err());
    }
}
