//! Giving up what the process is not to have: capabilities, ids, system calls.

use std::{
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use ferry_sys::descriptors::{Closing, close_from};
use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    process::{Gid, Signal, Uid, set_parent_process_death_signal},
    thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use super::user::Identity;
use crate::{
    Fault,
    capability::{self, CapabilitySets},
    seccomp,
};

/// What a process may do when its program begins.
#[derive(Debug)]
pub(crate) struct Privileges {
    pub(crate) capabilities: CapabilitySets,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp: Option<seccomp::Program>,
    /// Who answers the calls that the filter reports, if it reports any.
    pub(crate) seccomp_listener: Option<SeccompListener>,
    /// What becomes of the process when its parent ends.
    pub(crate) orphan: Orphan,
    /// Descriptors after the standard streams that the program gets too.
    pub(crate) kept_descriptors: i32,
}

/// What becomes of a process when its parent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orphan {
    /// It is killed: a monitor's death must not leave it unwatched.
    Dies,
    /// It goes on as soon as it is ready: who made it has nothing more to do with it.
    GoesOn,
}

/// Where the descriptor goes by which reported calls are answered.
#[derive(Debug)]
pub(crate) struct SeccompListener {
    /// A connection to whoever listens.
    pub(crate) connection: OwnedFd,
    /// What goes with it. Source: OCI runtime-spec config-linux.md#containerprocessstate.
    pub(crate) state: Vec<u8>,
}

impl Privileges {
    /// Gives up everything else. Afterwards the process is only fit to execute its program.
    ///
    /// Without no_new_privs the kernel takes a filter from holders of CAP_SYS_ADMIN only, so that it
    /// loads before capabilities drop and must allow what follows it here, as Docker's profile does.
    /// Source: seccomp(2), capabilities(7).
    pub(crate) fn drop_to(&self, identity: &Identity) -> Result<(), Fault> {
        close_from(3 + self.kept_descriptors, &[], Closing::OnExec).map_err(Fault::system("close_range"))?;
        if !self.no_new_privileges {
            self.load_seccomp()?;
        }
        let sets = self.sets_of(identity);
        sets.drop_bounding().map_err(privileges)?;
        capability::keep_across_setuid().map_err(privileges)?;
        become_user(identity)?;
        sets.apply().map_err(privileges)?;
        if self.orphan == Orphan::Dies {
            // A change of ids forgets it. Source: prctl(2), PR_SET_PDEATHSIG.
            set_parent_process_death_signal(Some(Signal::KILL)).map_err(Fault::system("prctl"))?;
        }
        if self.no_new_privileges {
            set_no_new_privs(true).map_err(Fault::system("set no_new_privs"))?;
            self.load_seccomp()?;
        }
        Ok(())
    }

    /// A user other than root holds nothing, unless a spec asks for ambient capabilities.
    fn sets_of(&self, identity: &Identity) -> CapabilitySets {
        if identity.uid == 0 || !self.capabilities.ambient.is_empty() {
            return self.capabilities;
        }
        CapabilitySets {
            inheritable: self.capabilities.inheritable,
            ..CapabilitySets::for_user(self.capabilities.bounding, identity.uid)
        }
    }

    fn load_seccomp(&self) -> Result<(), Fault> {
        let Some(program) = &self.seccomp else {
            return Ok(());
        };
        let fault = |error: seccomp::LoadError| Fault::Seccomp {
            reason: error.to_string(),
        };
        let Some(listener) = &self.seccomp_listener else {
            return program.load().map_err(fault);
        };
        let descriptor = program.load_with_listener().map_err(fault)?;
        listener.send(descriptor.as_fd())
    }
}

impl SeccompListener {
    fn send(&self, descriptor: BorrowedFd<'_>) -> Result<(), Fault> {
        let descriptors = [descriptor];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let body = [IoSlice::new(&self.state)];
        sendmsg(&self.connection, &body, &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(Fault::system("send the seccomp descriptor to its listener"))
    }
}

fn become_user(identity: &Identity) -> Result<(), Fault> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups).map_err(Fault::system("setgroups"))?;
    let gid = Gid::from_raw(identity.gid);
    set_thread_res_gid(gid, gid, gid).map_err(Fault::system("setresgid"))?;
    let uid = Uid::from_raw(identity.uid);
    set_thread_res_uid(uid, uid, uid).map_err(Fault::system("setresuid"))
}

fn privileges(error: capability::Error) -> Fault {
    Fault::Privileges {
        reason: error.to_string(),
    }
}
