//! A new container's first process.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use ferry_sys::{
    SingleThreaded,
    process::{CloneOptions, Forked, Namespaces, ParentOfNew, Personality, clone, exit_now, set_personality, unshare},
};
use oci_spec::runtime::Hook;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::write,
    process::{Gid, Signal, Uid, set_parent_process_death_signal, setsid},
    system::{setdomainname, sethostname},
    thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_res_gid, set_thread_res_uid},
};

use super::{
    NamespacePlan, ProcessPlan, hook,
    process::{Console, tell},
    sysctl,
};
use crate::{
    Fault,
    cgroup::Cgroup,
    emulation,
    profile::Sysctl,
    protocol::{self, Event},
    rootfs::Plan,
};

/// A container to be, as its first process finds it.
#[derive(Debug)]
pub(crate) struct ContainerPlan {
    pub(crate) proof: SingleThreaded,
    pub(crate) namespaces: NamespacePlan,
    pub(crate) cgroup: Cgroup,
    pub(crate) emulation: Option<emulation::Namespace>,
    /// The user namespace that it lives in, entered after all that exist.
    pub(crate) user: Option<OwnedFd>,
    /// Offsets of its clocks, in the kernel's form. Source: time_namespaces(7).
    pub(crate) time_offsets: Option<String>,
    /// What is done before its root replaces the host's.
    pub(crate) before_root: Option<BeforeRoot>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) personality: Option<Personality>,
    pub(crate) root: Plan,
    pub(crate) process: ProcessPlan,
}

/// What others do while a container's namespaces exist and its root is not yet entered.
#[derive(Debug)]
pub(crate) struct BeforeRoot {
    /// Where the root is attached meanwhile, as hooks expect it.
    pub(crate) root: PathBuf,
    /// What the container's process itself runs.
    pub(crate) create_container: Vec<Hook>,
}

/// How the first process comes into its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntoCgroup {
    /// It was cloned into it (CLONE_INTO_CGROUP).
    Born,
    /// It joins it.
    ByItself,
}

impl ContainerPlan {
    /// Whether a process in between is needed: one that enters a user namespace before the others
    /// are made, or a pid namespace, which only children are in.
    pub(crate) fn needs_launcher(&self) -> bool {
        self.emulation.is_some() || self.user.is_some() || self.namespaces.new_time || self.namespaces.joins_pid()
    }

    /// The life of the process in between: it makes the first process as its sibling, and ends.
    pub(crate) fn run_launcher(mut self, channel: OwnedFd) -> ! {
        die_with_parent();
        match self.launch() {
            Ok(Forked::Parent(child)) => {
                tell(channel.as_fd(), &Event::Forked { pid: child.pid }, &[]);
                exit_now(0)
            }
            Ok(Forked::Child) => self.run_inside(&channel),
            Err(fault) => fail(channel.as_fd(), fault),
        }
    }

    /// The life of the first process.
    pub(crate) fn run(self, channel: OwnedFd, way: IntoCgroup) -> ! {
        die_with_parent();
        if let Err(fault) = self.enter_surroundings(way) {
            fail(channel.as_fd(), fault);
        }
        self.run_inside(&channel)
    }

    fn launch(&mut self) -> Result<Forked, Fault> {
        self.enter_surroundings(IntoCgroup::ByItself)?;
        self.root.mount_shared(&self.namespaces)?;
        if let Some(emulation) = &self.emulation {
            self.process.raise_limits()?;
            emulation.enter()?;
        }
        let clocks = match self.namespaces.new_time {
            // Opened with the host's rights, which count when it is written.
            true => Some(open_clocks()?),
            false => None,
        };
        if let Some(user) = &self.user {
            self.process.raise_limits()?;
            enter_user_namespace(user)?;
        }
        if let Some(clocks) = clocks {
            unshare(self.proof, Namespaces::TIME).map_err(Fault::system("unshare time"))?;
            if let Some(offsets) = &self.time_offsets {
                write(&clocks, offsets.as_bytes()).map_err(Fault::system("write /proc/self/timens_offsets"))?;
            }
        }
        let options = CloneOptions {
            namespaces: self.namespaces.new,
            parent: ParentOfNew::CallersParent,
            cgroup: None,
        };
        clone(self.proof, &options).map_err(Fault::system("clone3"))
    }

    /// What is done with the host's rights: cgroup, oom score, namespaces that exist.
    fn enter_surroundings(&self, way: IntoCgroup) -> Result<(), Fault> {
        if way == IntoCgroup::ByItself {
            self.cgroup.join_self()?;
        }
        set_oom_score(self.oom_score_adj)?;
        self.namespaces.join()
    }

    fn run_inside(mut self, channel: &OwnedFd) -> ! {
        die_with_parent();
        let root = match self.build(channel.as_fd()) {
            Ok(root) => root,
            Err(fault) => fail(channel.as_fd(), fault),
        };
        match self.process.make_ready(root.as_fd(), Console::Mounted) {
            Ok(ready) => {
                // Masks and write protection come last: a terminal is mounted before.
                if let Err(fault) = self.root.protect(root.as_fd()) {
                    fail(channel.as_fd(), fault);
                }
                drop(root);
                finish(channel.as_fd(), ready.run(channel.as_fd()))
            }
            Err(fault) => fail(channel.as_fd(), fault),
        }
    }

    /// From namespaces that are still like the host's to a root with everything in it.
    fn build(&mut self, channel: BorrowedFd<'_>) -> Result<OwnedFd, Fault> {
        if self.namespaces.new_cgroup {
            unshare(self.proof, Namespaces::CGROUP).map_err(Fault::system("unshare cgroup"))?;
        }
        setsid().map_err(Fault::system("setsid"))?;
        if let Some(personality) = self.personality {
            set_personality(personality).map_err(Fault::system("personality"))?;
        }
        if self.namespaces.is_private(Namespaces::UTS) {
            if let Some(name) = &self.hostname {
                sethostname(name.as_bytes()).map_err(Fault::system("sethostname"))?;
            }
            if let Some(name) = &self.domainname {
                setdomainname(name.as_bytes()).map_err(Fault::system("setdomainname"))?;
            }
        }
        if self.namespaces.is_private(Namespaces::NETWORK) {
            // Programs expect it of every network, even of one without any other interface.
            ferry_sys::network::loopback_up().map_err(Fault::system("raise lo"))?;
        }
        sysctl::apply(&self.sysctls)?;
        self.root.mount_fresh()?;
        match (&self.before_root, self.namespaces.joins_mount()) {
            (None, false) => {
                self.root.enter()?;
                self.root.furnish()
            }
            (Some(before), joins_mount) => self.build_in_sight(channel, before, joins_mount),
            (None, true) => Err(Fault::Spec {
                member: "linux.namespaces".to_owned(),
                problem: "a mount namespace is joined, and there is no place in it for the root".to_owned(),
            }),
        }
    }

    /// Puts the root together at its place in the host's tree, where hooks look for it, before it is entered.
    fn build_in_sight(&self, channel: BorrowedFd<'_>, before: &BeforeRoot, joined: bool) -> Result<OwnedFd, Fault> {
        if !joined {
            self.root.leave_the_host_alone()?;
        }
        self.root.attach_at(&before.root)?;
        self.root.furnish_unentered()?;
        tell(channel, &Event::Prepared, &[]).ok_or(Fault::Died)?;
        let state = protocol::receive(channel)
            .map_err(Fault::system("recvmsg"))?
            .ok_or(Fault::Died)?;
        hook::run_all(&before.create_container, "createContainer", &state.body)?;
        if joined {
            self.root.enter_among_others()
        } else {
            self.root.enter_attached()
        }
    }
}

/// A monitor that is killed takes its process with it, which nobody would watch any more.
pub(super) fn die_with_parent() {
    // Cannot fail for a valid signal. Source: prctl(2), PR_SET_PDEATHSIG.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// Tells the monitor why there will be no container, and ends.
pub(super) fn fail(channel: BorrowedFd<'_>, fault: Fault) -> ! {
    tell(channel, &Event::Failed(fault), &[]);
    exit_now(1)
}

/// Tells the monitor why there is no program, and ends.
pub(super) fn finish(channel: BorrowedFd<'_>, error: Option<crate::StartError>) -> ! {
    let code = error.as_ref().map_or(1, crate::StartError::exit_code);
    if let Some(error) = error {
        tell(channel, &Event::NotStarted(error), &[]);
    }
    exit_now(code.into())
}

/// Moves the caller into a user namespace and makes it root there, if that has one.
pub(super) fn enter_user_namespace(user: &OwnedFd) -> Result<(), Fault> {
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User)).map_err(|errno| Fault::Namespace {
        kind: "user".to_owned(),
        path: None,
        errno: errno.into(),
    })?;
    // A map without an id 0: then the caller stays who it is, with all rights inside.
    let _ = set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT);
    let _ = set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT);
    Ok(())
}

fn open_clocks() -> Result<OwnedFd, Fault> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    openat(CWD, "/proc/self/timens_offsets", flags, Mode::empty())
        .map_err(Fault::system("open /proc/self/timens_offsets"))
}

/// Engine and monitors are below the containers for the OOM killer: undone here.
///
/// Without a score it stays what it is.
pub(super) fn set_oom_score(asked: Option<i32>) -> Result<(), Fault> {
    let Some(score) = asked else {
        return Ok(());
    };
    let fault = |errno: rustix::io::Errno| Fault::System {
        call: "write /proc/self/oom_score_adj".to_owned(),
        errno: errno.into(),
    };
    let file = openat(
        CWD,
        "/proc/self/oom_score_adj",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(fault)?;
    match write(&file, score.to_string().as_bytes()) {
        // Where the engine itself is above 0 and may not lower it, its containers are there too.
        Err(errno) if score != 0 => Err(fault(errno)),
        _ => Ok(()),
    }
}
