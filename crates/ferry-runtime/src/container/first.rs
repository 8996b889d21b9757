//! A new container's first process.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ferry_sys::{
    SingleThreaded,
    process::{CloneOptions, Forked, Namespaces, ParentOfNew, Personality, clone, exit_now, set_personality, unshare},
};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::write,
    process::{Signal, set_parent_process_death_signal, setsid},
    system::{setdomainname, sethostname},
};

use super::{
    NamespacePlan, ProcessPlan,
    process::{Console, tell},
    sysctl,
};
use crate::{Fault, cgroup::Cgroup, emulation, profile::Sysctl, protocol::Event, rootfs::Plan};

/// A container to be, as its first process finds it.
#[derive(Debug)]
pub(crate) struct ContainerPlan {
    pub(crate) proof: SingleThreaded,
    pub(crate) namespaces: NamespacePlan,
    pub(crate) cgroup: Cgroup,
    pub(crate) emulation: Option<emulation::Namespace>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) oom_score_adj: Option<i32>,
    pub(crate) personality: Option<Personality>,
    pub(crate) root: Plan,
    pub(crate) process: ProcessPlan,
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
        self.emulation.is_some() || self.namespaces.joins_pid()
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
        let root = match self.build() {
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
    fn build(&mut self) -> Result<OwnedFd, Fault> {
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
        self.root.enter()?;
        self.root.furnish()
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

/// Engine and monitors are below the containers for the OOM killer: undone here.
pub(super) fn set_oom_score(asked: Option<i32>) -> Result<(), Fault> {
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
    let score = asked.unwrap_or(0);
    match write(&file, score.to_string().as_bytes()) {
        // Where the engine itself is above 0 and may not lower it, its containers are there too.
        Err(errno) if score != 0 => Err(fault(errno)),
        _ => Ok(()),
    }
}
