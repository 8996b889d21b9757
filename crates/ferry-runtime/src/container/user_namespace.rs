//! User namespaces made beforehand, with their maps: for a container to live in, and for idmapped mounts.

use std::{
    fmt::Write as _,
    os::fd::{AsFd, OwnedFd},
};

use ferry_sys::{
    SingleThreaded,
    process::{CloneOptions, Forked, Namespaces, ParentOfNew, clone, exit_now},
};
use oci_spec::runtime::LinuxIdMapping;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    pipe::{PipeFlags, pipe_with},
    process::{WaitId, WaitIdOptions, waitid},
};

use crate::Fault;

/// Makes a user namespace with these maps; it lives as long as its descriptor or somebody in it.
pub(crate) fn make(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<OwnedFd, Fault> {
    if uids.is_empty() || gids.is_empty() {
        return Err(Fault::Spec {
            member: "uidMappings, gidMappings".to_owned(),
            problem: "a user namespace needs both".to_owned(),
        });
    }
    let proof = SingleThreaded::prove().map_err(Fault::system("count threads"))?;
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).map_err(Fault::system("pipe2"))?;
    let options = CloneOptions {
        namespaces: Namespaces::USER,
        parent: ParentOfNew::Caller,
        cgroup: None,
    };
    let holder = match clone(proof, &options).map_err(Fault::system("clone3 with a user namespace"))? {
        Forked::Child => {
            drop(ours);
            // Until the other side is closed, by whichever end of the maker.
            let _ = rustix::io::read(&theirs, &mut [0; 1]);
            exit_now(0)
        }
        Forked::Parent(child) => child,
    };
    drop(theirs);
    let made = map_and_open(holder.pid, uids, gids);
    drop(ours);
    waitid(WaitId::PidFd(holder.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(Fault::system("waitid"))?;
    made
}

fn map_and_open(pid: i32, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<OwnedFd, Fault> {
    for (file, map) in [("uid_map", uids), ("gid_map", gids)] {
        let lines = lines(map);
        std::fs::write(format!("/proc/{pid}/{file}"), &lines).map_err(|error| Fault::System {
            call: format!("write {:?} to {file}", lines.trim_end()),
            errno: error.into(),
        })?;
    }
    let path = format!("/proc/{pid}/ns/user");
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(Fault::system("open a user namespace"))
}

/// The kernel's form. Source: user_namespaces(7).
fn lines(map: &[LinuxIdMapping]) -> String {
    map.iter().fold(String::new(), |mut lines, range| {
        let _ = writeln!(lines, "{} {} {}", range.container_id(), range.host_id(), range.size());
        lines
    })
}
