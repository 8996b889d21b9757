//! A path inside a container as a person writes it, cleaned as Go's `path/filepath` does.

use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, readlinkat};
use rustix::io::Errno;

use super::Error;

/// An absolute path of which `..` and `.` are resolved by name, and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContainerPath {
    parts: Vec<String>,
    end: End,
}

/// The end of a path, which says what is meant: a link or what it leads to, a folder or what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Name,
    Slash,
    Dot,
}

const MAX_BYTES: usize = 4096;
/// As many as Go's `filepath.EvalSymlinks` follows.
const MAX_LINKS: u32 = 255;

impl ContainerPath {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::InvalidOption {
            option: "path",
            value: text.chars().take(300).collect(),
            reason: reason.to_owned(),
        };
        if text.contains('\0') {
            return Err(invalid("it contains a zero byte"));
        }
        if text.len() > MAX_BYTES {
            return Err(invalid("it is longer than 4096 bytes"));
        }
        let mut path = Self {
            parts: Vec::new(),
            end: match text.rsplit('/').next() {
                Some(".") => End::Dot,
                Some("") if !text.is_empty() => End::Slash,
                _ => End::Name,
            },
        };
        path.push(text);
        Ok(path)
    }

    fn push(&mut self, text: &str) {
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    self.parts.pop();
                }
                part => self.parts.push(part.to_owned()),
            }
        }
    }

    /// Without the slash that it begins with; empty for the root.
    pub(super) fn relative(&self) -> String {
        self.parts.join("/")
    }

    /// As a person sees it.
    pub(super) fn shown(&self) -> String {
        format!("/{}", self.relative())
    }

    /// What the kernel is asked for, from the root.
    pub(super) fn to_open(&self) -> String {
        match (self.parts.is_empty(), self.end) {
            (true, _) => ".".to_owned(),
            (false, End::Name) => self.relative(),
            (false, End::Slash | End::Dot) => format!("{}/.", self.relative()),
        }
    }

    /// Its last name, as Go's `filepath.Base` has it: `/` for the root, `.` where it ends so.
    pub(super) fn name(&self) -> String {
        match (self.parts.last(), self.end) {
            (_, End::Dot) => ".".to_owned(),
            (Some(last), _) => last.clone(),
            (None, _) => "/".to_owned(),
        }
    }

    /// The folder that holds it.
    pub(super) fn parent(&self) -> Self {
        let mut parts = self.parts.clone();
        parts.pop();
        Self { parts, end: End::Slash }
    }
}

/// Where the link at `path` leads in the end, link by link, as far as there is anything; what is not is taken by
/// name. A client's next question, and nothing that is opened by it here.
pub(super) fn link_target(root: BorrowedFd<'_>, path: &ContainerPath) -> String {
    let mut todo: Vec<String> = path.parts.iter().rev().cloned().collect();
    let mut done = ContainerPath {
        parts: Vec::new(),
        end: End::Name,
    };
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.parts.pop();
            continue;
        }
        done.parts.push(part);
        let Ok(target) = read_link(root, &done) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS || todo.len() > MAX_BYTES {
            break;
        }
        done.parts.pop();
        if target.starts_with('/') {
            done.parts.clear();
        }
        let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
        todo.extend(parts.rev().map(str::to_owned));
    }
    done.shown()
}

fn read_link(root: BorrowedFd<'_>, path: &ContainerPath) -> Result<String, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let link = rustix::fs::openat2(root, path.relative(), flags, Mode::empty(), resolve)?;
    let target = readlinkat(&link, "", Vec::new())?;
    Ok(String::from_utf8_lossy(target.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_cleaned_and_keep_their_end() {
        for (text, open, name, parent) in [
            ("/a/b", "a/b", "b", "/a"),
            ("a/b/", "a/b/.", "b", "/a"),
            ("a/b/.", "a/b/.", ".", "/a"),
            ("/a/../../b/./c", "b/c", "c", "/b"),
            ("/", ".", "/", "/"),
            ("/.", ".", ".", "/"),
            (".", ".", ".", "/"),
            ("", ".", "/", "/"),
            ("a.", "a.", "a.", "/"),
        ] {
            let path = ContainerPath::parse(text).unwrap();
            assert_eq!(
                (
                    path.to_open().as_str(),
                    path.name().as_str(),
                    path.parent().shown().as_str()
                ),
                (open, name, parent),
                "{text:?}"
            );
        }
        assert!(ContainerPath::parse("a\0b").is_err());
        assert!(ContainerPath::parse(&"a/".repeat(3000)).is_err());
    }

    #[test]
    fn links_are_followed_by_name_as_far_as_they_go() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("real/deep")).unwrap();
        for (name, target) in [
            ("up", "../../../real"),
            ("abs", "/up/deep"),
            ("dangling", "real/none/../x"),
            ("loop", "loop"),
            ("file", "abs/../file"),
        ] {
            symlink(target, root.path().join(name)).unwrap();
        }
        let open = std::fs::File::open(root.path()).unwrap();
        let target = |path: &str| link_target(open.as_fd(), &ContainerPath::parse(path).unwrap());
        assert_eq!(target("/up"), "/real");
        assert_eq!(target("/abs"), "/real/deep");
        assert_eq!(target("/dangling"), "/real/x");
        assert_eq!(target("/file"), "/real/file");
        assert_eq!(target("/loop"), "/loop");
    }
}
