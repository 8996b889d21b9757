//! Making processes, and what a fresh one does first and last.

use std::{
    ffi::{CStr, CString},
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use crate::SingleThreaded;

/// Which of the two processes the caller finds itself in.
#[derive(Debug)]
pub enum Forked {
    /// The one that asked.
    Parent(Child),
    /// The new one.
    Child,
}

/// A new process as its parent sees it.
#[derive(Debug)]
pub struct Child {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// A descriptor of it, close-on-exec.
    pub pidfd: OwnedFd,
}

/// Who becomes the parent of a new process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParentOfNew {
    /// The caller.
    Caller,
    /// The caller's own parent (CLONE_PARENT).
    CallersParent,
}

/// How a process is made. Source: clone(2), clone3.
#[derive(Debug)]
pub struct CloneOptions<'a> {
    /// Namespaces that it gets anew.
    pub namespaces: Namespaces,
    /// Whose child it is.
    pub parent: ParentOfNew,
    /// The version 2 cgroup that it is born in, instead of the caller's.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// A set of kinds of namespaces. Source: namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces(u64);

impl Namespaces {
    /// None.
    pub const NONE: Namespaces = Namespaces(0);
    /// CLONE_NEWNS.
    pub const MOUNT: Namespaces = Namespaces(libc::CLONE_NEWNS as u64);
    /// CLONE_NEWPID.
    pub const PID: Namespaces = Namespaces(libc::CLONE_NEWPID as u64);
    /// CLONE_NEWIPC.
    pub const IPC: Namespaces = Namespaces(libc::CLONE_NEWIPC as u64);
    /// CLONE_NEWUTS.
    pub const UTS: Namespaces = Namespaces(libc::CLONE_NEWUTS as u64);
    /// CLONE_NEWNET.
    pub const NETWORK: Namespaces = Namespaces(libc::CLONE_NEWNET as u64);
    /// CLONE_NEWUSER.
    pub const USER: Namespaces = Namespaces(libc::CLONE_NEWUSER as u64);
    /// CLONE_NEWCGROUP.
    pub const CGROUP: Namespaces = Namespaces(libc::CLONE_NEWCGROUP as u64);
    /// CLONE_NEWTIME: for [`unshare`], of future children only. Source: time_namespaces(7).
    pub const TIME: Namespaces = Namespaces(0x80);

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 | other.0)
    }

    /// This set less the other.
    #[must_use]
    pub fn without(self, other: Namespaces) -> Namespaces {
        Namespaces(self.0 & !other.0)
    }

    /// Whether all of the other set are in this one.
    #[must_use]
    pub fn contains(self, other: Namespaces) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Duplicates the calling process; only what is asked for is different in the new one.
pub fn clone(_proof: SingleThreaded, options: &CloneOptions<'_>) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    // SAFETY: `clone_args` is a plain structure of integers, for which zeroes are a value.
    let mut args: libc::clone_args = unsafe { mem::zeroed() };
    args.flags = libc::CLONE_PIDFD as u64 | options.namespaces.0;
    args.pidfd = ptr::from_mut(&mut pidfd) as u64;
    match options.parent {
        ParentOfNew::Caller => args.exit_signal = libc::SIGCHLD as u64,
        ParentOfNew::CallersParent => args.flags |= libc::CLONE_PARENT as u64,
    }
    if let Some(cgroup) = options.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: clone3(2) without CLONE_VM copies the address space, so that it is a fork: the proof
    // says that no other thread exists whose locks would stay held. `args` and `pidfd` outlive it.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: on success the kernel has stored a new descriptor of which nobody else knows.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent(Child { pid: pid as i32, pidfd }))
        }
    }
}

/// On which side of a plain fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The process that was there before.
    Parent {
        /// The new one's id.
        child: i32,
    },
    /// The new one.
    Child,
}

/// Duplicates the calling process by the call that filters of system calls let pass in containers, where
/// [`clone`]'s answers ENOSYS. Source: fork(2).
pub fn fork(_proof: SingleThreaded) -> io::Result<Fork> {
    // SAFETY: the proof says that no other thread exists whose locks would stay held.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent { child }),
    }
}

/// Which machine the kernel says it is. Source: personality(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// PER_LINUX.
    Linux,
    /// PER_LINUX32: the 32-bit one that the CPU can be as well.
    Linux32,
}

/// Sets the calling thread's personality, which survives execve(2).
pub fn set_personality(personality: Personality) -> io::Result<()> {
    // Numbers of `linux/personality.h`, which libc leaves out.
    let number: libc::c_ulong = match personality {
        Personality::Linux => 0,
        Personality::Linux32 => 8,
    };
    // SAFETY: personality(2) touches no memory.
    let former = unsafe { libc::personality(number) };
    if former >= 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Leaves namespaces for new ones; the proof makes it the whole process that leaves. A new pid
/// namespace is that of future children only. Source: unshare(2).
pub fn unshare(_proof: SingleThreaded, namespaces: Namespaces) -> io::Result<()> {
    // All CLONE_NEW* bits are below bit 31.
    let flags = i32::try_from(namespaces.0).map_err(|_| io::ErrorKind::InvalidInput)?;
    unshare_thread(flags)
}

/// Gives the calling thread a root, working directory and umask of its own, so that it alone can enter another
/// mount namespace. The thread does that and ends: others could not tell its files from theirs. Source: unshare(2).
pub fn unshare_file_system() -> io::Result<()> {
    unshare_thread(libc::CLONE_FS)
}

/// As [`unshare_file_system`], with a copy of the mount namespace.
pub fn unshare_mounts() -> io::Result<()> {
    unshare_thread(libc::CLONE_FS | libc::CLONE_NEWNS)
}

fn unshare_thread(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: only CLONE_FS and CLONE_NEW* bits can be in `flags`, none of which affects memory or descriptors.
    let result = unsafe { libc::unshare(flags) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Ends the process at once: no destructor, no buffer, no handler runs. Source: _exit(2).
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// A program with its arguments and environment in the form that the kernel takes.
#[derive(Debug)]
pub struct Command {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Command {
    /// Keeps the strings. `None` if one has a zero byte inside.
    #[must_use]
    pub fn new<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
        environment: impl IntoIterator<Item = &'a str>,
    ) -> Option<Command> {
        let strings =
            |list: &mut dyn Iterator<Item = &'a str>| list.map(CString::new).collect::<Result<Vec<_>, _>>().ok();
        Some(Command {
            arguments: strings(&mut arguments.into_iter())?,
            environment: strings(&mut environment.into_iter())?,
        })
    }

    /// Becomes the program; returns only if that fails. Source: execve(2).
    pub fn execute(&self, path: &CStr) -> io::Error {
        let argv = pointers(&self.arguments);
        let envp = pointers(&self.environment);
        // SAFETY: both lists end in a null pointer and point at strings that `self` keeps.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr().cast(), envp.as_ptr().cast()) };
        io::Error::last_os_error()
    }

    /// Becomes the program that a descriptor stands for; returns only if that fails.
    /// Source: execveat(2), AT_EMPTY_PATH.
    pub fn execute_descriptor(&self, program: BorrowedFd<'_>) -> io::Error {
        let argv = pointers(&self.arguments);
        let envp = pointers(&self.environment);
        // SAFETY: both lists end in a null pointer and point at strings that `self` keeps; the path
        // is an empty C string.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program.as_raw_fd(),
                c"".as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }

    /// Starts the program as a new process in which `descriptor` is number `number`, close-on-exec
    /// cleared. Safe in processes with threads. Source: posix_spawn(3).
    pub fn spawn_with(&self, path: &CStr, descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<i32> {
        let argv = pointers(&self.arguments);
        let envp = pointers(&self.environment);
        let actions = FileActions::duplicating(descriptor, number)?;
        let mut pid: libc::pid_t = 0;
        // SAFETY: all pointers are to live objects; the lists end in null pointers.
        let error = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                path.as_ptr(),
                &raw const actions.0,
                ptr::null(),
                argv.as_ptr(),
                envp.as_ptr(),
            )
        };
        if error == 0 {
            Ok(pid)
        } else {
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn duplicating(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<FileActions> {
        let mut actions = mem::MaybeUninit::uninit();
        // SAFETY: the pointer is to memory of the right type.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it was initialised just now.
        let mut actions = FileActions(unsafe { actions.assume_init() });
        let source = descriptor.as_raw_fd();
        // SAFETY: the actions are initialised, the descriptor is open.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, source, number) })?;
        Ok(actions)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: the actions are initialised and not used again.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}
