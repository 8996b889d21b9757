//! Making the calling process fit to make containers: its program out of their reach, its signals as programs expect.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use ferry_sys::{
    mount::{Attributes, READ_ONLY, Reach, set_attributes},
    process::Command,
    signals::{self, Children},
};
use rustix::{
    fs::{CWD, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_get_seals},
    mount::{OpenTreeFlags, open_tree},
    process::{DumpableBehavior, set_dumpable_behavior, umask},
};

use super::Error;
use crate::handle::seal;

const SELF: &str = "/proc/self/exe";

/// Executes this program again from where nobody can write it, unless it is; returns when it is.
///
/// Containers see it as /proc/PID/exe of processes on the way to their program, and whoever executes `/proc/self/exe`
/// there becomes it: without this he could write the host's file as soon as nobody executes it. A detached read-only
/// mount of the file does: with its descriptor closed no call can reach it to change that, and nothing is copied.
/// Source: CVE-2019-5736.
///
/// For the first thing in `main`, before there are threads.
pub fn prepare() -> Result<(), Error> {
    let failed = |source| Error::Prepare { source };
    if !is_out_of_reach().map_err(failed)? {
        let program = read_only_mount().or_else(|_| seal(Path::new(SELF))).map_err(failed)?;
        let strings = |list: &mut dyn Iterator<Item = std::ffi::OsString>| -> Vec<String> {
            list.filter_map(|word| word.into_string().ok()).collect()
        };
        let arguments = strings(&mut std::env::args_os());
        let environment = strings(&mut std::env::vars_os().map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            entry
        }));
        let command = Command::new(
            arguments.iter().map(String::as_str),
            environment.iter().map(String::as_str),
        );
        let command = command.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        return Err(failed(command.execute_descriptor(program.as_fd())));
    }
    signals::reset();
    signals::ignore_broken_pipes();
    signals::on_child_exit(Children::Waited);
    // Modes are given in full wherever something is made.
    umask(Mode::empty());
    // Its copies are in containers before they execute: not to be looked into from there.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|errno| failed(errno.into()))
}

fn is_out_of_reach() -> io::Result<bool> {
    if rustix::fs::statvfs(SELF)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    let file = rustix::fs::openat(CWD, SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

fn read_only_mount() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, SELF, flags)?;
    let attributes = Attributes {
        set: READ_ONLY,
        ..Attributes::default()
    };
    set_attributes(mount.as_fd(), attributes, Reach::Mount)?;
    Ok(mount)
}
