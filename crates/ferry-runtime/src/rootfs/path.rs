//! Places inside a root, found or made by descriptor so that none can lie outside it.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, readlinkat},
    io::Errno,
};

/// What is to be at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Folder,
    File,
}

/// As many symbolic links as the kernel follows. Source: path_resolution(7).
const LINKS_MAX: u32 = 40;
const COMPONENTS_MAX: usize = 4096;

/// An O_PATH descriptor of what is at `path` inside `root`; links are followed inside it.
pub(crate) fn open_existing(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let relative = path.strip_prefix("/").unwrap_or(path);
    if relative.as_os_str().is_empty() {
        return openat2(root, ".", flags, Mode::empty(), resolve);
    }
    openat2(root, relative, flags, Mode::empty(), resolve)
}

/// As [`open_existing`]; what is missing is made: folders 0755 and a last file 0644, of the caller.
///
/// Dangling links are followed and their targets made, as a mount on `/var/run` needs when that is a
/// link to a `/run` which is not there.
pub(crate) fn open_or_create(root: BorrowedFd<'_>, path: &Path, shape: Shape) -> Result<OwnedFd, Errno> {
    match open_existing(root, path) {
        Err(Errno::NOENT) => walk(root, path, shape),
        other => other,
    }
}

/// Goes component by component, never following a link in the kernel, so that whoever swaps
/// things meanwhile cannot lead the way out: `..` goes back to a descriptor that was held.
fn walk(root: BorrowedFd<'_>, path: &Path, shape: Shape) -> Result<OwnedFd, Errno> {
    let mut todo: Vec<OsString> = components(path)?;
    let mut done: Vec<OwnedFd> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            done.pop();
            continue;
        }
        let here = done.last().map_or(root, AsFd::as_fd);
        let wanted = if todo.is_empty() { shape } else { Shape::Folder };
        let found = open_or_make(here, &name, wanted)?;
        let Some(target) = link_target(&found)? else {
            done.push(found);
            continue;
        };
        links += 1;
        if links > LINKS_MAX || todo.len() > COMPONENTS_MAX {
            return Err(Errno::LOOP);
        }
        if target.is_absolute() {
            done.clear();
        }
        todo.extend(components(&target)?);
    }
    match done.pop() {
        Some(found) => Ok(found),
        None => open_existing(root, Path::new("")),
    }
}

/// The names of a path, the first one last.
fn components(path: &Path) -> Result<Vec<OsString>, Errno> {
    let names: Vec<OsString> = path
        .as_os_str()
        .as_bytes()
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(|name| OsStr::from_bytes(name).to_owned())
        .rev()
        .collect();
    if names.len() > COMPONENTS_MAX {
        Err(Errno::NAMETOOLONG)
    } else {
        Ok(names)
    }
}

fn open_or_make(here: BorrowedFd<'_>, name: &OsStr, shape: Shape) -> Result<OwnedFd, Errno> {
    let look = || {
        openat(
            here,
            name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    match look() {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let made = match shape {
        Shape::Folder => mkdirat(here, name, Mode::from_raw_mode(0o755)),
        Shape::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            openat(here, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => look(),
        Err(errno) => Err(errno),
    }
}

fn link_target(found: &OwnedFd) -> Result<Option<std::path::PathBuf>, Errno> {
    let stat = rustix::fs::fstat(found)?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
        return Ok(None);
    }
    let target = readlinkat(found, "", Vec::new())?;
    Ok(Some(OsStr::from_bytes(target.as_bytes()).into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(links: &[(&str, &str)], make: &str, shape: Shape, want: Result<&str, Errno>) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("real")).unwrap();
        for (name, target) in links {
            symlink(target, root.join(name)).unwrap();
        }
        let fd = std::fs::File::open(&root).unwrap();
        let got = open_or_create(fd.as_fd(), Path::new(make), shape);
        let names: Vec<_> = std::fs::read_dir(outer.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{make}: something was made outside");
        match (got, want) {
            (Ok(found), Ok(want)) => {
                use std::os::fd::AsRawFd;
                let link = format!("/proc/self/fd/{}", found.as_raw_fd());
                assert_eq!(std::fs::read_link(link).unwrap(), root.join(want), "{make}");
                let is_folder = root.join(want).is_dir();
                assert_eq!(is_folder, shape == Shape::Folder, "{make}");
            }
            (got, want) => assert_eq!(got.map(|_| ()), want.map(|_| ()), "{make}"),
        }
    }

    #[test]
    fn places_are_made_inside_whatever_the_links_say() {
        use Shape::{File, Folder};
        check(&[], "/a/b/c", Folder, Ok("a/b/c"));
        check(&[], "/a/b/c", File, Ok("a/b/c"));
        check(&[], "/a/../../../b", Folder, Ok("b"));
        check(&[], "real", Folder, Ok("real"));
        check(&[("up", "../../..")], "/up/x", Folder, Ok("x"));
        check(&[("abs", "/etc")], "/abs/x", File, Ok("etc/x"));
        check(&[("dangling", "run/deep")], "/dangling", Folder, Ok("run/deep"));
        check(
            &[("dangling", "/run/deep")],
            "/dangling/lock",
            File,
            Ok("run/deep/lock"),
        );
        check(&[("a", "b"), ("b", "a")], "/a/x", Folder, Err(Errno::LOOP));
        check(
            &[("magic", "/proc/self/root/etc")],
            "/magic/x",
            Folder,
            Ok("proc/self/root/etc/x"),
        );
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let fd = std::fs::File::open(root.path()).unwrap();
        let got = open_or_create(fd.as_fd(), Path::new("/file/x"), Shape::Folder);
        assert_eq!(got.unwrap_err(), Errno::NOTDIR);
    }
}
