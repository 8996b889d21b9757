//! A context that comes as one tar: `docker build - < context.tar`.
//!
//! A tar lists files in any order, and a name may come twice; a context is a walk. So the tar is kept whole
//! first, its last word on each name is noted, and then it is received like files from a client.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use ferry_store::layer::Decompressed;
use tar::EntryType;

use super::{ContextError, ContextPath, Contexts, Entry, EntryKind, MAX_ENTRIES, Need, PathError, Tree};

/// Largest tar that is taken, uncompressed.
const MAX_ARCHIVE_BYTES: u64 = 64 << 30;
/// Mode of directories that a tar leaves implied.
const IMPLIED_MODE: u32 = 0o755;
/// How much is copied at once, in bytes.
const PIECE_BYTES: usize = 256 << 10;

impl Contexts {
    /// Takes the context that `archive` holds: a tar, plain, gzip or zstd. It is gone after its build. Blocks.
    pub fn receive_archive(&self, archive: impl BufRead) -> Result<Arc<Tree>, ContextError> {
        let mut archive = self.keep_whole(archive)?;
        let listing = list(&mut archive)?;
        let mut receiving = self.receive_once();
        for (index, (entry, content)) in (0..).zip(listing.into_values()) {
            if receiving.entry(entry)? == Need::Nothing {
                continue;
            }
            let mut content = archive.part(content)?;
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                let len = content.read(&mut piece).map_err(ContextError::Archive)?;
                if len == 0 {
                    break;
                }
                receiving.content(index, &piece[..len])?;
            }
            receiving.content_end(index)?;
        }
        receiving.finish()
    }

    /// Writes the tar, uncompressed, to a file that has no name: it goes with its descriptor.
    fn keep_whole(&self, archive: impl BufRead) -> Result<Kept, ContextError> {
        let path = self.root().to_owned();
        let file = rustix::fs::open(
            &path,
            rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .map_err(|errno| ContextError::io(&path)(errno.into()))?;
        let mut out = BufWriter::with_capacity(PIECE_BYTES, File::from(file));
        let archive = Decompressed::detect(archive).map_err(|error| ContextError::Archive(io::Error::other(error)))?;
        let mut archive = archive.take(MAX_ARCHIVE_BYTES + 1);
        let copied = io::copy(&mut archive, &mut out).map_err(ContextError::Archive)?;
        if copied > MAX_ARCHIVE_BYTES {
            return Err(ContextError::Archive(io::ErrorKind::FileTooLarge.into()));
        }
        out.flush().map_err(ContextError::io(&path))?;
        let file = out
            .into_inner()
            .map_err(|error| ContextError::io(&path)(error.into_error()))?;
        Ok(Kept(file))
    }
}

/// A whole tar, on disk.
struct Kept(File);

/// Where in the tar a file's content is.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    offset: u64,
    len: u64,
}

impl Kept {
    fn part(&mut self, part: Part) -> Result<impl Read + '_, ContextError> {
        self.0
            .seek(SeekFrom::Start(part.offset))
            .map_err(ContextError::Archive)?;
        Ok((&self.0).take(part.len))
    }
}

type Listing = BTreeMap<ContextPath, (Entry, Part)>;

/// What the tar holds, its last word on each name, in the order of a walk.
fn list(archive: &mut Kept) -> Result<Listing, ContextError> {
    archive.0.seek(SeekFrom::Start(0)).map_err(ContextError::Archive)?;
    let mut tar = tar::Archive::new(BufReader::new(&archive.0));
    let mut listing = Listing::new();
    for entry in tar.entries().map_err(ContextError::Archive)? {
        let entry = entry.map_err(ContextError::Archive)?;
        if listing.len() >= MAX_ENTRIES {
            return Err(ContextError::TooMany);
        }
        let Some(path) = context_path(&entry.path_bytes())? else {
            continue;
        };
        let part = Part {
            offset: entry.raw_file_position(),
            len: entry.size(),
        };
        if let Some((kind, part)) = kind_of(&entry, part, &listing)? {
            let header = entry.header();
            let mode = header.mode().map_err(ContextError::Archive)? & 0o7777;
            let entry = Entry {
                path: path.clone(),
                kind,
                mode,
                modified_ns: 0,
            };
            add_parents(&mut listing, &path);
            listing.insert(path, (entry, part));
        }
    }
    Ok(listing)
}

/// What an entry is; `None` for headers that describe no file.
fn kind_of<R: Read>(
    entry: &tar::Entry<'_, R>,
    part: Part,
    listing: &Listing,
) -> Result<Option<(EntryKind, Part)>, ContextError> {
    let link = || -> Result<Vec<u8>, ContextError> {
        let link = entry.link_name_bytes().map(|name| name.into_owned());
        link.ok_or_else(|| ContextError::Archive(io::Error::other("a link without a target")))
    };
    let kind = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => EntryKind::File { size_bytes: part.len },
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::SymbolicLink {
            target: text(&link()?)?,
        },
        EntryType::Fifo => EntryKind::Fifo,
        // A copy of its own: the target may come later in the order of a walk.
        EntryType::Link => {
            let found = context_path(&link()?)?.and_then(|target| listing.get(&target));
            return match found {
                Some((target, part)) => Ok(Some((target.kind.clone(), *part))),
                None => Err(ContextError::Archive(io::Error::other(
                    "a hard link to nothing before it",
                ))),
            };
        }
        EntryType::XGlobalHeader => return Ok(None),
        other => {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let problem = format!(
                "{path}: entries of type {:?} are not supported",
                char::from(other.as_byte())
            );
            return Err(ContextError::Archive(io::Error::other(problem)));
        }
    };
    Ok(Some((kind, part)))
}

/// Directories that the tar leaves implied.
fn add_parents(listing: &mut Listing, path: &ContextPath) {
    for (at, _) in path.as_str().match_indices('/') {
        // A part of a path is a path.
        let Ok(parent) = path.as_str()[..at].parse::<ContextPath>() else {
            continue;
        };
        listing.entry(parent.clone()).or_insert_with(|| {
            let entry = Entry {
                path: parent,
                kind: EntryKind::Directory,
                mode: IMPLIED_MODE,
                modified_ns: 0,
            };
            (entry, Part::default())
        });
    }
}

/// A name as tars write it, `./a/b/`; `None` for the top itself.
fn context_path(name: &[u8]) -> Result<Option<ContextPath>, ContextError> {
    let name = text(name)?;
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    Ok(Some(parts.join("/").parse()?))
}

fn text(name: &[u8]) -> Result<String, ContextError> {
    String::from_utf8(name.to_vec()).map_err(|error| {
        ContextError::Path(PathError {
            path: String::from_utf8_lossy(error.as_bytes()).chars().take(256).collect(),
            reason: "it is not UTF-8",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of entries: type, name, content or link target.
    fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o640);
            let name_field = &mut header.as_old_mut().name;
            name_field[..name.len()].copy_from_slice(name.as_bytes());
            let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
            if is_link {
                header.set_link_name_literal(content).expect("a short target");
            }
            let data = if is_link { "" } else { content };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data.as_bytes()).expect("an entry");
        }
        builder.into_inner().expect("a tar")
    }

    fn contexts() -> (tempfile::TempDir, Contexts) {
        let root = tempfile::tempdir().expect("a temporary directory");
        let contexts = Contexts::open(root.path()).expect("contexts");
        (root, contexts)
    }

    #[test]
    fn a_tar_in_any_order_becomes_a_tree() {
        let (_root, contexts) = contexts();
        let bytes = tar(&[
            (EntryType::Regular, "z/last", "first word"),
            (EntryType::Directory, "./", ""),
            (EntryType::Symlink, "./link", "/etc/passwd"),
            (EntryType::Regular, "./Dockerfile", "FROM scratch"),
            (EntryType::Link, "a", "Dockerfile"),
            (EntryType::Regular, "z/last", "last word"),
        ]);
        let tree = contexts.receive_archive(bytes.as_slice()).expect("a tree");
        let paths: Vec<&str> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["Dockerfile", "a", "link", "z", "z/last"]);
        assert_eq!(tree.read("z/last", 99).expect("z/last"), Some(b"last word".to_vec()));
        assert_eq!(tree.read("a", 99).expect("a"), Some(b"FROM scratch".to_vec()));
        assert_eq!(tree.read("link", 99).expect("link"), None, "not the host's file");
    }

    #[test]
    fn hostile_tars_are_refused() {
        let (root, contexts) = contexts();
        for (name, entries) in [
            ("upwards", vec![(EntryType::Regular, "../a", "x")]),
            ("upwards inside", vec![(EntryType::Regular, "a/../../b", "x")]),
            ("device", vec![(EntryType::Char, "a", "")]),
            ("link to nothing", vec![(EntryType::Link, "a", "b")]),
            ("link to the host", vec![(EntryType::Link, "a", "/etc/passwd")]),
            (
                "through a link",
                vec![(EntryType::Symlink, "d", "/tmp"), (EntryType::Regular, "d/a", "x")],
            ),
            (
                "below a file",
                vec![(EntryType::Regular, "d", "x"), (EntryType::Regular, "d/a", "x")],
            ),
        ] {
            let bytes = tar(&entries);
            assert!(contexts.receive_archive(bytes.as_slice()).is_err(), "{name}");
        }
        assert!(
            contexts
                .receive_archive(&b"no tar, and longer than one byte"[..])
                .is_err()
        );
        let cut = tar(&[(EntryType::Regular, "a", "content")]);
        assert!(contexts.receive_archive(&cut[..600]).is_err());
        assert!(!root.path().join("once/record.json").exists());
    }
}
