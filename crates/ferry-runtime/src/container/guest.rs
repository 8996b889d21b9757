//! A further process in a running container.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ferry_sys::{
    SingleThreaded,
    descriptors::{Closing, close_from},
    process::{CloneOptions, Forked, Namespaces, ParentOfNew, clone, exit_now},
};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::setsid,
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};

use super::{
    ProcessPlan,
    first::{die_with_parent, fail, finish, set_oom_score},
    process::{Console, tell},
    stdio::Streams,
};
use crate::{Fault, cgroup::Cgroup, protocol::Event};

/// A process to be, in the container of another.
#[derive(Debug)]
pub(crate) struct GuestPlan {
    pub(crate) proof: SingleThreaded,
    pub(crate) cgroup: Cgroup,
    /// The container's first process.
    pub(crate) host: OwnedFd,
    /// Whether that is in another user namespace.
    pub(crate) user_namespace: bool,
    /// Whether it is in another time namespace.
    pub(crate) time_namespace: bool,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) process: ProcessPlan,
}

impl GuestPlan {
    /// The life of the process in between: it enters the container with nothing of the engine's in
    /// its hands, makes the real process as its sibling, and ends.
    ///
    /// Not being in the container's pid namespace itself, it cannot be seen from there while it
    /// still has the monitor's descriptors.
    pub(crate) fn run(self, channel: OwnedFd) -> ! {
        die_with_parent();
        match self.enter(&channel) {
            Ok(Forked::Parent(child)) => {
                tell(channel.as_fd(), &Event::Forked { pid: child.pid }, &[]);
                exit_now(0)
            }
            Ok(Forked::Child) => {
                die_with_parent();
                self.run_inside(&channel)
            }
            Err(fault) => fail(channel.as_fd(), fault),
        }
    }

    fn enter(&self, channel: &OwnedFd) -> Result<Forked, Fault> {
        self.cgroup.join_self()?;
        set_oom_score(self.oom_score_adj)?;
        let mut namespaces = ThreadNameSpaceType::MOUNT
            | ThreadNameSpaceType::PROCESS_ID
            | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
            | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
            | ThreadNameSpaceType::NETWORK
            | ThreadNameSpaceType::CONTROL_GROUP;
        if self.user_namespace {
            self.process.raise_limits()?;
            namespaces |= ThreadNameSpaceType::USER;
        }
        if self.time_namespace {
            namespaces |= ThreadNameSpaceType::TIME;
        }
        move_into_thread_name_spaces(self.host.as_fd(), namespaces).map_err(|errno| Fault::Namespace {
            kind: "container's".to_owned(),
            path: None,
            errno: errno.into(),
        })?;
        let mut keep = vec![channel.as_raw_fd()];
        if let Streams::Pipes { stdin, stdout, stderr } = &self.process.streams {
            keep.extend(stdin.iter().chain([stdout, stderr]).map(AsRawFd::as_raw_fd));
        }
        keep.extend(self.process.kept_descriptors());
        close_from(3, &keep, Closing::Now).map_err(Fault::system("close_range"))?;
        let options = CloneOptions {
            namespaces: Namespaces::NONE,
            parent: ParentOfNew::CallersParent,
            cgroup: None,
        };
        clone(self.proof, &options).map_err(Fault::system("clone3"))
    }

    fn run_inside(self, channel: &OwnedFd) -> ! {
        if let Err(errno) = setsid() {
            fail(channel.as_fd(), Fault::system("setsid")(errno));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = match openat(CWD, "/", flags, Mode::empty()) {
            Ok(root) => root,
            Err(errno) => fail(channel.as_fd(), Fault::root("open /")(errno)),
        };
        match self.process.make_ready(root.as_fd(), Console::LeftAlone) {
            Ok(ready) => {
                drop(root);
                finish(channel.as_fd(), ready.run(channel.as_fd()))
            }
            Err(fault) => fail(channel.as_fd(), fault),
        }
    }
}
