//! Walks a COPY's sources: wildcards, ignore rules and exclusions, and the digest of each file.

use std::io::Read;
use std::os::fd::OwnedFd;

use ferry_oci::{Digest, Hasher};
use rustix::fs::FileType;

use super::selection::{
    Content, ItemKind, Metadata, Origin, Selected, SelectedItem, Selection, SelectionFault, Trust, Wanted, digest_of,
};
use super::view::{Directory, Found, LastLink, Resolved, join, names};
use crate::glob::{Dialect, Glob};
use crate::ignore::Ignore;
use crate::plan::{Archives, CopySource, ParentPaths};

/// Directories within directories; as many as a layer may have.
const MAX_DEPTH: usize = 512;

/// Reads and hashes what `wanted` stands for in `origin`.
pub(crate) fn select(origin: &Origin<'_>, wanted: &Wanted<'_>) -> Result<Selection, SelectionFault> {
    let exclude = Ignore::from_patterns(wanted.exclude.iter().map(String::as_str))?;
    let mut selector = Selector {
        origin,
        exclude,
        archives: wanted.archives,
        sources: Vec::new(),
    };
    for source in wanted.sources {
        match source {
            CopySource::Inline { name, content } => selector.inline(name, content),
            CopySource::Path(path) => selector.path(path, wanted.parents)?,
        }
    }
    let digest = digest_of(&selector.sources);
    Ok(Selection {
        sources: selector.sources,
        digest,
    })
}

/// Reads and hashes one path, in which no character is a wildcard.
pub(crate) fn select_path(origin: &Origin<'_>, path: &[u8]) -> Result<Selection, SelectionFault> {
    let mut selector = Selector {
        origin,
        exclude: Ignore::default(),
        archives: Archives::Copy,
        sources: Vec::new(),
    };
    selector.source(path, ParentPaths::Drop, 0)?;
    let digest = digest_of(&selector.sources);
    let sources = selector.sources;
    Ok(Selection { sources, digest })
}

/// What was taken of one source.
#[derive(Default)]
struct Taken {
    items: Vec<SelectedItem>,
    /// Inodes with several names, and the first of those.
    links: Vec<(u64, Vec<u8>)>,
}

/// A directory on the way.
struct Level {
    path: Vec<u8>,
    entries: std::collections::btree_map::IntoIter<Vec<u8>, Found>,
    /// For one that is left out itself: what it is, and where its item would stand.
    left_out: Option<(Found, usize)>,
}

struct Selector<'a> {
    origin: &'a Origin<'a>,
    exclude: Ignore,
    archives: Archives,
    sources: Vec<Selected>,
}

impl Selector<'_> {
    fn inline(&mut self, name: &str, content: &str) {
        self.sources.push(Selected {
            name: name.as_bytes().to_vec(),
            parents: None,
            items: vec![SelectedItem {
                path: Vec::new(),
                metadata: Metadata {
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    mtime: None,
                    attributes: Vec::new(),
                },
                kind: ItemKind::File {
                    content: Content::Inline(content.as_bytes().into()),
                    digest: Digest::of(content.as_bytes()),
                    archive: Archives::Copy,
                },
            }],
        });
    }

    fn path(&mut self, written: &str, parents: ParentPaths) -> Result<(), SelectionFault> {
        let clean = crate::plan::paths::absolute("/", written);
        let clean = clean.trim_start_matches('/');
        let matches = if Glob::is_pattern(clean) {
            self.wildcards(clean, parents)?
        } else {
            vec![clean.as_bytes().to_vec()]
        };
        let not_found = || SelectionFault::NotFound(format!("/{clean}"));
        if matches.is_empty() {
            return Err(not_found());
        }
        // `a/./b/c` keeps `b` only.
        let pivot = match written.split_once("/./") {
            Some((before, _)) => names(before.as_bytes()).filter(|name| *name != b"..").count(),
            None => 0,
        };
        for path in matches {
            self.source(&path, parents, pivot)?;
        }
        Ok(())
    }

    fn source(&mut self, path: &[u8], parents: ParentPaths, pivot: usize) -> Result<(), SelectionFault> {
        let not_found = || SelectionFault::NotFound(format!("/{}", String::from_utf8_lossy(path)));
        let Resolved::Found(found) = self.origin.view.resolve(path, LastLink::Follow)? else {
            return Err(not_found());
        };
        if self.is_ignored(&found.path) && !self.keeps_below(&found) {
            return Err(not_found());
        }
        let kept_parents = match parents {
            ParentPaths::Drop => None,
            ParentPaths::Keep => Some(self.parents(path, pivot)?),
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let mut items = self.take(&found, name)?;
        if parents == ParentPaths::Drop || name.is_empty() {
            forget_source_directory(&mut items);
        }
        self.sources.push(Selected {
            name: name.to_vec(),
            parents: kept_parents,
            items,
        });
        Ok(())
    }

    /// The paths that match, sorted; a directory that matches stands for itself.
    fn wildcards(&self, pattern: &str, parents: ParentPaths) -> Result<Vec<Vec<u8>>, SelectionFault> {
        let dialect = match parents {
            ParentPaths::Keep => Dialect::Ignore,
            ParentPaths::Drop => Dialect::Path,
        };
        let glob = Glob::parse(pattern, dialect)?;
        // What stands before the first wildcard is walked to, not searched.
        let fixed: Vec<&str> = pattern.split('/').take_while(|name| !Glob::is_pattern(name)).collect();
        let start = fixed.join("/");
        if let Resolved::Found(found) = self.origin.view.resolve(start.as_bytes(), LastLink::Follow)?
            && let Some(directory) = &found.directory
        {
            return self.search(directory, start.as_bytes(), &glob);
        }
        Ok(Vec::new())
    }

    /// Searches below `directory`, which is shown as `start`.
    fn search(&self, directory: &Directory, start: &[u8], glob: &Glob) -> Result<Vec<Vec<u8>>, SelectionFault> {
        let mut matches = Vec::new();
        let mut levels = vec![(start.to_vec(), self.origin.view.entries(directory)?.into_iter())];
        while let Some((shown, entries)) = levels.last_mut() {
            let Some((name, found)) = entries.next() else {
                levels.pop();
                continue;
            };
            let path = join(shown, &name);
            let text = String::from_utf8_lossy(&path).into_owned();
            if glob.matches(&text) && (!self.is_ignored(&found.path) || self.keeps_below(&found)) {
                matches.push(path);
            } else if let Some(below) = &found.directory
                && glob.may_match_below(&text)
            {
                check_depth(&path, levels.len())?;
                levels.push((path, self.origin.view.entries(below)?.into_iter()));
            }
        }
        Ok(matches)
    }

    fn parents(&self, path: &[u8], pivot: usize) -> Result<Vec<(Vec<u8>, Metadata)>, SelectionFault> {
        let all: Vec<&[u8]> = names(path).collect();
        let mut parents = Vec::new();
        let mut kept = Vec::new();
        for end in 1..all.len() {
            if end <= pivot {
                continue;
            }
            let whole = all[..end].join(&b'/');
            kept = join(&kept, all[end - 1]);
            if let Resolved::Found(found) = self.origin.view.resolve(&whole, LastLink::Follow)? {
                parents.push((kept.clone(), self.metadata(&found)?));
            }
        }
        Ok(parents)
    }

    /// `source` and all below it. `base` is its own name, which `--exclude` sees for files.
    fn take(&self, source: &Found, base: &[u8]) -> Result<Vec<SelectedItem>, SelectionFault> {
        let mut taken = Taken::default();
        let excluded = source.directory.is_none() && self.is_excluded(base);
        if excluded {
            return Ok(taken.items);
        }
        self.add(source, Vec::new(), &mut taken)?;
        let mut levels = Vec::new();
        levels.extend(self.level(source, Vec::new(), None)?);
        while let Some(level) = levels.last_mut() {
            let Some((name, found)) = level.entries.next() else {
                // A directory that is left out appears only for the sake of what is kept below it.
                if let Some(Level {
                    path,
                    left_out: Some((found, at)),
                    ..
                }) = levels.pop()
                    && taken.items.len() > at
                {
                    let item = self.item(&found, path, &mut taken.links)?;
                    taken.items.insert(at, item);
                }
                continue;
            };
            let path = join(&level.path, &name);
            check_depth(&path, levels.len())?;
            if !self.is_excluded(&path) && !self.is_ignored(&found.path) {
                self.add(&found, path.clone(), &mut taken)?;
                levels.extend(self.level(&found, path, None)?);
            } else if found.directory.is_some() && self.may_hold_kept(&found, &path) {
                let left_out = Some((found.clone(), taken.items.len()));
                levels.extend(self.level(&found, path, left_out)?);
            }
        }
        Ok(taken.items)
    }

    fn add(&self, found: &Found, path: Vec<u8>, taken: &mut Taken) -> Result<(), SelectionFault> {
        let item = self.item(found, path, &mut taken.links)?;
        taken.items.push(item);
        Ok(())
    }

    fn level(
        &self,
        found: &Found,
        path: Vec<u8>,
        left_out: Option<(Found, usize)>,
    ) -> Result<Option<Level>, SelectionFault> {
        let Some(directory) = &found.directory else {
            return Ok(None);
        };
        Ok(Some(Level {
            path,
            entries: self.origin.view.entries(directory)?.into_iter(),
            left_out,
        }))
    }

    fn is_excluded(&self, path: &[u8]) -> bool {
        !self.exclude.is_empty() && self.exclude.excludes(&String::from_utf8_lossy(path))
    }

    fn may_hold_kept(&self, found: &Found, path: &[u8]) -> bool {
        self.keeps_below(found) || self.exclude.may_keep_below(&String::from_utf8_lossy(path))
    }

    fn item(
        &self,
        found: &Found,
        path: Vec<u8>,
        links: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<SelectedItem, SelectionFault> {
        let kind = match found.status.kind {
            FileType::Directory => ItemKind::Directory,
            FileType::Symlink => ItemKind::Link {
                target: self.origin.view.read_link(found)?,
            },
            FileType::RegularFile => self.file(found, &path, links)?,
            kind => ItemKind::Node {
                kind,
                device: found.status.device,
            },
        };
        Ok(SelectedItem {
            metadata: self.metadata(found)?,
            path,
            kind,
        })
    }

    fn file(&self, found: &Found, path: &[u8], links: &mut Vec<(u64, Vec<u8>)>) -> Result<ItemKind, SelectionFault> {
        if self.origin.trust == Trust::Content && found.status.links > 1 {
            let inode = found.status.inode;
            if let Some((_, first)) = links.iter().find(|(known, _)| *known == inode) {
                return Ok(ItemKind::SameAs { path: first.clone() });
            }
            links.push((inode, path.to_vec()));
        }
        let file = self.origin.view.open_file(found)?;
        let failed = |source| SelectionFault::Read {
            path: String::from_utf8_lossy(&found.path).into_owned(),
            source,
        };
        let is_unpacked = self.archives == Archives::Unpack
            && path.is_empty()
            && super::archive::is_archive(&file).map_err(failed)?;
        let digest = hash(file).map_err(failed)?;
        Ok(ItemKind::File {
            content: Content::In {
                view: self.origin.view.clone(),
                found: found.clone(),
            },
            digest,
            archive: if is_unpacked { Archives::Unpack } else { Archives::Copy },
        })
    }

    fn metadata(&self, found: &Found) -> Result<Metadata, SelectionFault> {
        let status = found.status;
        if self.origin.trust == Trust::Host {
            return Ok(Metadata {
                mode: status.mode,
                uid: 0,
                gid: 0,
                mtime: None,
                attributes: Vec::new(),
            });
        }
        Ok(Metadata {
            mode: status.mode,
            uid: status.uid,
            gid: status.gid,
            mtime: Some(status.mtime),
            attributes: self.origin.view.attributes(found)?,
        })
    }

    fn is_ignored(&self, path: &[u8]) -> bool {
        let ignore = self.origin.ignore.filter(|ignore| !ignore.is_empty());
        ignore.is_some_and(|ignore| ignore.excludes(&String::from_utf8_lossy(path)))
    }

    fn keeps_below(&self, found: &Found) -> bool {
        found.directory.is_some()
            && self
                .origin
                .ignore
                .is_some_and(|ignore| ignore.may_keep_below(&String::from_utf8_lossy(&found.path)))
    }
}

/// A directory that is copied gives its content only, so that what it is itself must not count.
fn forget_source_directory(items: &mut [SelectedItem]) {
    if let Some(SelectedItem {
        metadata,
        kind: ItemKind::Directory,
        ..
    }) = items.first_mut()
    {
        *metadata = Metadata {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: None,
            attributes: Vec::new(),
        };
    }
}

fn check_depth(path: &[u8], depth: usize) -> Result<(), SelectionFault> {
    if depth > MAX_DEPTH {
        return Err(SelectionFault::TooDeep {
            path: String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned(),
            limit: MAX_DEPTH,
        });
    }
    Ok(())
}

fn hash(file: OwnedFd) -> std::io::Result<Digest> {
    let mut file = std::fs::File::from(file);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            len => hasher.update(&buffer[..len]),
        }
    }
    Ok(hasher.finish())
}
