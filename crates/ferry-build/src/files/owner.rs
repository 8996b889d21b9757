//! `--chown=user:group`: numbers, or names looked up in the image's own passwd and group files.

use std::io::Read;

use rustix::fs::FileType;

use super::view::{LastLink, Resolved, View, ViewError};

/// Largest passwd or group file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A file's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Why an owner cannot be found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnerFault {
    #[error(
        "unable to convert uid/gid chown string to host mapping: can't find uid for user {name}: no such user: {name}"
    )]
    NoUser { name: String },
    #[error(
        "unable to convert uid/gid chown string to host mapping: can't find gid for group {name}: no such group: {name}"
    )]
    NoGroup { name: String },
    #[error("invalid chown string {text:?}: expected user[:group]")]
    Malformed { text: String },
    #[error("/{path} is no regular file of at most {MAX_FILE_BYTES} bytes, so names in --chown cannot be looked up")]
    BadFile { path: &'static str },
    #[error(transparent)]
    View(#[from] ViewError),
}

impl Owner {
    pub(crate) const ROOT: Self = Self { uid: 0, gid: 0 };

    /// The owner that `user[:group]` names in `root`. Without a group it is the number of the user, as
    /// in BuildKit.
    pub(crate) fn resolve(text: &str, root: &View) -> Result<Self, OwnerFault> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) if !group.contains(':') => (user, Some(group)),
            None => (text, None),
            Some(_) => {
                let text = text.to_owned();
                return Err(OwnerFault::Malformed { text });
            }
        };
        if user.is_empty() && group.is_none_or(str::is_empty) {
            let text = text.to_owned();
            return Err(OwnerFault::Malformed { text });
        }
        let uid = match user {
            "" => 0,
            user => match user.parse() {
                Ok(uid) => uid,
                Err(_) => {
                    look_up(root, "etc/passwd", user)?.ok_or_else(|| OwnerFault::NoUser { name: user.to_owned() })?
                }
            },
        };
        let gid = match group {
            None => uid,
            Some("") => 0,
            Some(group) => match group.parse() {
                Ok(gid) => gid,
                Err(_) => {
                    look_up(root, "etc/group", group)?.ok_or_else(|| OwnerFault::NoGroup { name: group.to_owned() })?
                }
            },
        };
        Ok(Self { uid, gid })
    }
}

/// The number in the third field of the line that begins with `name:`.
fn look_up(root: &View, path: &'static str, name: &str) -> Result<Option<u32>, OwnerFault> {
    let found = match root.resolve(path.as_bytes(), LastLink::Follow)? {
        Resolved::Found(found) => found,
        Resolved::Missing { .. } | Resolved::Blocked => return Ok(None),
    };
    let status = found.status;
    if status.kind != FileType::RegularFile || status.size_bytes > MAX_FILE_BYTES {
        return Err(OwnerFault::BadFile { path });
    }
    let mut text = Vec::new();
    std::fs::File::from(root.open_file(&found)?)
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut text)
        .map_err(|_| OwnerFault::BadFile { path })?;
    Ok(String::from_utf8_lossy(&text).lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Whiteouts;

    #[test]
    fn owners() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0::/:\nme:x:1000:50::/:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(root.path().join("etc/group"), "users:x:100:\nbad:x\n").unwrap();
        let view = View::open(&[root.path().to_owned()], Whiteouts::Plain).unwrap();
        let check = |text: &str, expect: Option<(u32, u32)>| {
            let got = Owner::resolve(text, &view).ok().map(|owner| (owner.uid, owner.gid));
            assert_eq!(got, expect, "{text}");
        };
        check("5", Some((5, 5)));
        check("5:6", Some((5, 6)));
        check("me", Some((1000, 1000)));
        check("me:users", Some((1000, 100)));
        check(":users", Some((0, 100)));
        check("me:7", Some((1000, 7)));
        check("nobody", None);
        check("me:bad", None);
        check("1:2:3", None);
        check(":", None);
        check("-1", None);
        check("4294967296", None);
    }
}
