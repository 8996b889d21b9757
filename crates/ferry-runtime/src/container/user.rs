//! Who a process runs as: names and numbers of an image's `USER`, resolved inside the root.
//!
//! Source: Docker's rules as its documentation of `--user` and `USER` states them: numeric means
//! numeric; without a group the user's own and all those that list it; with one, just that.

use std::{io::Read, os::fd::BorrowedFd, path::PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use crate::UserFault;

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one among them, sorted.
    pub(crate) groups: Vec<u32>,
    /// The home folder that the user's entry names.
    pub(crate) home: Option<String>,
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

const FILE_MAX_BYTES: u64 = 1024 * 1024;
const ID_MAX: i64 = i32::MAX as i64;

/// Resolves a user (`""`, `user`, `uid`, each also with `:group` or `:gid`) and further groups by
/// the root's /etc/passwd and /etc/group, which may be missing.
pub(crate) fn resolve(root: BorrowedFd<'_>, user: &str, more_groups: &[String]) -> Result<Identity, UserFault> {
    let passwd = read(root, "etc/passwd")?;
    let group = read(root, "etc/group")?;
    resolve_by(&passwd, &group, user, more_groups)
}

/// The home folder of the user with this number, if the root's /etc/passwd names one.
pub(crate) fn home_of(root: BorrowedFd<'_>, uid: u32) -> Option<String> {
    let passwd = read(root, "etc/passwd").ok()?;
    let user = passwd.lines().filter_map(parse_user).find(|user| user.uid == uid)?;
    Some(user.home.to_owned()).filter(|home| !home.is_empty())
}

pub(crate) fn resolve_by(passwd: &str, group: &str, user: &str, more_groups: &[String]) -> Result<Identity, UserFault> {
    let (user, explicit_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let number = if user.is_empty() { Some(0) } else { parse_id(user)? };
    let entry = passwd.lines().filter_map(parse_user).find(|entry| match number {
        Some(uid) => entry.uid == uid,
        None => entry.name == user,
    });
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => {
            return Err(UserFault::NoUser { name: user.to_owned() });
        }
    };
    let mut gid = entry.as_ref().map_or(0, |entry| entry.gid);
    let mut groups = Vec::new();
    match (explicit_group, &entry) {
        (Some(name), _) => gid = find_group(group, name)?,
        (None, Some(entry)) => groups.extend(
            group
                .lines()
                .filter_map(parse_group)
                .filter(|group| group.members.split(',').any(|member| member == entry.name))
                .map(|group| group.gid),
        ),
        (None, None) => {}
    }
    for name in more_groups {
        groups.push(find_group(group, name)?);
    }
    groups.push(gid);
    groups.sort_unstable();
    groups.dedup();
    let home = entry.map(|entry| entry.home.to_owned()).filter(|home| !home.is_empty());
    Ok(Identity { uid, gid, groups, home })
}

fn find_group(group: &str, name: &str) -> Result<u32, UserFault> {
    if let Some(gid) = parse_id(name)? {
        return Ok(gid);
    }
    group
        .lines()
        .filter_map(parse_group)
        .find(|entry| entry.name == name)
        .map(|entry| entry.gid)
        .ok_or_else(|| UserFault::NoGroup { name: name.to_owned() })
}

/// A number if it looks like one; whatever looks like one is never a name.
fn parse_id(text: &str) -> Result<Option<u32>, UserFault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(id) if (0..=ID_MAX).contains(&id) => Ok(Some(id as u32)),
        _ => Err(UserFault::Range),
    }
}

fn parse_user(line: &str) -> Option<User<'_>> {
    let mut fields = line.trim().split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let _password = fields.next()?;
    let uid = file_id(fields.next()?)?;
    let gid = file_id(fields.next().unwrap_or("0"))?;
    let home = fields.nth(1).unwrap_or("");
    Some(User { name, uid, gid, home })
}

fn parse_group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.trim().split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let _password = fields.next()?;
    let gid = file_id(fields.next()?)?;
    Some(Group {
        name,
        gid,
        members: fields.next().unwrap_or(""),
    })
}

/// An id in a file; lines with an impossible one do not count.
fn file_id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|id| i64::from(*id) <= ID_MAX)
}

fn read(root: BorrowedFd<'_>, path: &str) -> Result<String, UserFault> {
    let shown = || PathBuf::from("/").join(path);
    let fault = |errno: rustix::io::Errno| UserFault::Read {
        path: shown(),
        errno: errno.into(),
    };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // First without opening what it is: opening a device or a pipe can have effects, or wait.
    let probe = match openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(probe) => probe,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(String::new()),
        Err(errno) => return Err(fault(errno)),
    };
    let is_file = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode).is_file();
    if !is_file(fstat(&probe).map_err(fault)?) {
        return Err(UserFault::NotRegular { path: shown() });
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat2(root, path, flags, Mode::empty(), resolve).map_err(fault)?;
    if !is_file(fstat(&file).map_err(fault)?) {
        return Err(UserFault::NotRegular { path: shown() });
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| UserFault::Read {
            path: shown(),
            errno: error.into(),
        })?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(UserFault::TooLarge { path: shown() });
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
broken line
daemon:x:1:1::/usr/sbin:/bin/sh
app:x:1000:1001:App:/srv/app:/bin/sh
1234:x:77:77::/numeric:/bin/sh
huge:x:4294967295:0::/:/bin/sh
";
    const GROUP: &str = "\
root:x:0:root
wheel:x:10:root,app
staff:x:50:app
app:x:1001:
";

    /// Uid, gid, groups, home.
    type Want<'a> = (u32, u32, &'a [u32], Option<&'a str>);

    fn check(user: &str, more: &[&str], want: Result<Want<'_>, UserFault>) {
        let more: Vec<String> = more.iter().map(|name| (*name).to_owned()).collect();
        let got = resolve_by(PASSWD, GROUP, user, &more);
        let want = want.map(|(uid, gid, groups, home)| Identity {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.map(str::to_owned),
        });
        assert_eq!(got, want, "user {user:?}");
    }

    #[test]
    fn users_resolve_as_in_docker() {
        check("", &[], Ok((0, 0, &[0, 10], Some("/root"))));
        check("root", &[], Ok((0, 0, &[0, 10], Some("/root"))));
        check("app", &[], Ok((1000, 1001, &[10, 50, 1001], Some("/srv/app"))));
        check("1000", &[], Ok((1000, 1001, &[10, 50, 1001], Some("/srv/app"))));
        check("app:staff", &[], Ok((1000, 50, &[50], Some("/srv/app"))));
        check("app:4242", &[], Ok((1000, 4242, &[4242], Some("/srv/app"))));
        check("app:", &[], Ok((1000, 1001, &[10, 50, 1001], Some("/srv/app"))));
        check("5000", &[], Ok((5000, 0, &[0], None)));
        check("5000:staff", &["wheel", "9"], Ok((5000, 50, &[9, 10, 50], None)));
        check(":staff", &[], Ok((0, 50, &[50], Some("/root"))));
    }

    #[test]
    fn numeric_means_numeric() {
        check("1234", &[], Ok((1234, 0, &[0], None)));
        check("-1", &[], Err(UserFault::Range));
        check("2147483648", &[], Err(UserFault::Range));
        check("99999999999999999999", &[], Err(UserFault::Range));
        check("app:4294967296", &[], Err(UserFault::Range));
    }

    #[test]
    fn unknown_names_are_errors() {
        check("ghost", &[], Err(UserFault::NoUser { name: "ghost".into() }));
        check("app:ghosts", &[], Err(UserFault::NoGroup { name: "ghosts".into() }));
        check("app", &["ghosts"], Err(UserFault::NoGroup { name: "ghosts".into() }));
        check("huge", &[], Err(UserFault::NoUser { name: "huge".into() }));
    }

    #[test]
    fn files_of_names_are_read_bounded_and_inside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let open = || std::fs::File::open(root.path()).unwrap();
        let passwd = root.path().join("etc/passwd");
        let call = || {
            use std::os::fd::AsFd;
            resolve(open().as_fd(), "app", &[])
        };
        assert_eq!(call(), Err(UserFault::NoUser { name: "app".into() }));

        std::os::unix::fs::symlink("/etc/real", &passwd).unwrap();
        std::fs::write(root.path().join("etc/real"), PASSWD).unwrap();
        assert_eq!(call().unwrap().uid, 1000);

        std::fs::remove_file(&passwd).unwrap();
        std::fs::create_dir(&passwd).unwrap();
        assert_eq!(
            call(),
            Err(UserFault::NotRegular {
                path: "/etc/passwd".into()
            })
        );

        std::fs::remove_dir(&passwd).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &passwd, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert_eq!(
            call(),
            Err(UserFault::NotRegular {
                path: "/etc/passwd".into()
            })
        );

        std::fs::remove_file(&passwd).unwrap();
        std::fs::write(&passwd, vec![b'\n'; FILE_MAX_BYTES as usize + 1]).unwrap();
        assert_eq!(
            call(),
            Err(UserFault::TooLarge {
                path: "/etc/passwd".into()
            })
        );
    }
}
