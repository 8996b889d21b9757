//! A user namespace with its own `binfmt_misc` instance.

use std::fmt::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ferry_sys::SingleThreaded;
use ferry_sys::process::{self, Child, CloneOptions, Forked, Namespaces, ParentOfNew};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType,
};
use rustix::process::{WaitId, WaitIdOptions};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{CreateError, Interpreter};

/// An identity-mapped user namespace whose `binfmt_misc` entries live as long as its descriptors.
///
/// One an engine is enough: containers in it can join each other's namespaces, and the emulators
/// are in memory once.
#[derive(Debug)]
pub struct Namespace {
    user: OwnedFd,
    binfmt: OwnedFd,
}

impl Namespace {
    /// Makes the namespace and registers the interpreters; [`super::Emulators::interpreters`] has
    /// them. About a millisecond, and a copy of each emulator.
    ///
    /// The caller must be single-threaded, since it forks, and hold CAP_SETUID, CAP_SETGID and
    /// CAP_SYS_ADMIN in its own user namespace, whose whole map is handed on.
    pub fn create(interpreters: &[Interpreter]) -> Result<Namespace, CreateError> {
        let namespace = Namespace::empty()?;
        for interpreter in interpreters {
            namespace.register(interpreter)?;
        }
        Ok(namespace)
    }

    /// Makes the namespace with nothing registered.
    fn empty() -> Result<Namespace, CreateError> {
        let proof = SingleThreaded::prove().map_err(|_| CreateError::NotSingleThreaded)?;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(step("make a socket pair"))?;
        let options = CloneOptions {
            namespaces: Namespaces::USER.with(Namespaces::MOUNT),
            parent: ParentOfNew::Caller,
            cgroup: None,
        };
        match process::clone(proof, &options) {
            Ok(Forked::Child) => {
                drop(ours);
                mount_and_send(&theirs);
                process::exit_now(0)
            }
            Ok(Forked::Parent(child)) => {
                drop(theirs);
                let made = receive(&child, &ours);
                drop(ours);
                // It ends by itself: its socket is closed now, if it has not ended already.
                let reaped = rustix::process::waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
                reaped.map_err(step("wait for the namespace's maker"))?;
                made
            }
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                Err(CreateError::UserNamespacesForbidden { errno })
            }
        }
    }

    /// Registers one more interpreter, or the same again, in which case nothing changes.
    pub fn register(&self, interpreter: &Interpreter) -> Result<(), CreateError> {
        let name = interpreter.cpu.architecture;
        if rustix::fs::accessat(
            &self.binfmt,
            name,
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::empty(),
        )
        .is_ok()
        {
            return Ok(());
        }
        let memory = interpreter.sealed()?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let register = rustix::fs::openat(&self.binfmt, "register", flags, Mode::empty())
            .map_err(step("open binfmt_misc's register"))?;
        rustix::io::write(&register, interpreter.line(&memory).as_bytes()).map_err(step("register an emulator"))?;
        Ok(())
    }

    /// Takes over descriptors that came over a socket.
    #[must_use]
    pub fn from_parts(user: OwnedFd, binfmt: OwnedFd) -> Namespace {
        Namespace { user, binfmt }
    }

    /// The user namespace, for `setns(2)` and for idmapped mounts.
    #[must_use]
    pub fn user_namespace(&self) -> BorrowedFd<'_> {
        self.user.as_fd()
    }

    /// The detached `binfmt_misc` mount; whoever holds it keeps the entries alive.
    #[must_use]
    pub fn binfmt_mount(&self) -> BorrowedFd<'_> {
        self.binfmt.as_fd()
    }

    /// Moves the calling thread, the only one of its process, into the user namespace, where it has
    /// every capability. `setns(2)`.
    pub fn enter(&self) -> Result<(), CreateError> {
        move_into_link_name_space(self.user.as_fd(), Some(LinkNameSpaceType::User))
            .map_err(step("enter the user namespace"))
    }
}

/// The maker's part, inside: waits for its maps, mounts, hands the mount over or says why not.
fn mount_and_send(socket: &OwnedFd) {
    let mut go = [0; 1];
    if rustix::io::read(socket, &mut go) != Ok(1) {
        return;
    }
    let sent = match mount() {
        Ok(mount) => {
            let descriptors = [mount.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            let done = 0_i32.to_ne_bytes();
            rustix::net::sendmsg(socket, &[IoSlice::new(&done)], &mut ancillary, SendFlags::NOSIGNAL)
        }
        Err(errno) => {
            let answer = errno.raw_os_error().to_ne_bytes();
            rustix::net::send(socket, &answer, SendFlags::NOSIGNAL)
        }
    };
    // Nobody to tell: the other side sees the socket close.
    let _ = sent;
}

/// A `binfmt_misc` instance of the caller's user namespace, attached nowhere.
fn mount() -> Result<OwnedFd, Errno> {
    let context = rustix::mount::fsopen("binfmt_misc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// The caller's part: maps the namespace, lets the maker go on, takes the mount.
fn receive(child: &Child, socket: &OwnedFd) -> Result<Namespace, CreateError> {
    for map in ["uid_map", "gid_map"] {
        let own = std::fs::read_to_string(format!("/proc/self/{map}")).map_err(io_step("read the id map"))?;
        std::fs::write(format!("/proc/{}/{map}", child.pid), identity(&own)).map_err(io_step("write the id map"))?;
    }
    let user = rustix::fs::open(
        format!("/proc/{}/ns/user", child.pid),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(step("open the user namespace"))?;
    rustix::net::send(socket, &[0], SendFlags::NOSIGNAL).map_err(step("let the namespace's maker go on"))?;
    let mut answer = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut answer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(step("hear from the namespace's maker"))?;
    let binfmt = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .next();
    match (binfmt, i32::from_ne_bytes(answer)) {
        (Some(binfmt), 0) => Ok(Namespace { user, binfmt }),
        _ if message.bytes < answer.len() => Err(CreateError::Step {
            step: "hear from the namespace's maker",
            errno: Errno::PIPE,
        }),
        (_, errno) => Err(mount_error(Errno::from_raw_os_error(errno))),
    }
}

fn mount_error(errno: Errno) -> CreateError {
    match errno {
        Errno::NODEV => CreateError::NoBinfmtMisc,
        // Before 6.7 only the first user namespace may mount it.
        Errno::PERM => CreateError::KernelTooOld,
        errno => CreateError::Step {
            step: "mount binfmt_misc",
            errno,
        },
    }
}

/// Maps every id that a namespace has to itself, from a map as the namespace's own processes read
/// it. `user_namespaces(7)`.
fn identity(own: &str) -> String {
    let mut map = String::new();
    for line in own.lines() {
        let mut fields = line.split_whitespace();
        if let (Some(inside), Some(_), Some(count)) = (fields.next(), fields.next(), fields.next()) {
            let _ = writeln!(map, "{inside} {inside} {count}");
        }
    }
    map
}

fn step(step: &'static str) -> impl Fn(Errno) -> CreateError {
    move |errno| CreateError::Step { step, errno }
}

fn io_step(step: &'static str) -> impl Fn(std::io::Error) -> CreateError {
    move |error| CreateError::Step {
        step,
        errno: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_mapped_to_itself() {
        assert_eq!(identity("         0          0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(identity("0 100000 65536\n70000 5 1\n"), "0 0 65536\n70000 70000 1\n");
        assert_eq!(identity("garbage\n"), "");
    }

    #[test]
    fn causes_have_their_own_words() {
        assert!(matches!(mount_error(Errno::PERM), CreateError::KernelTooOld));
        assert!(matches!(mount_error(Errno::NODEV), CreateError::NoBinfmtMisc));
        assert!(matches!(mount_error(Errno::NOMEM), CreateError::Step { .. }));
    }

    #[test]
    fn threads_are_noticed() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receive.recv());
        assert!(matches!(Namespace::create(&[]), Err(CreateError::NotSingleThreaded)));
        drop(send);
        let _ = thread.join().unwrap();
    }
}
