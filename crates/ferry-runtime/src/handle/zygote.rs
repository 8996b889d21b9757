//! The engine's handle on the zygote process.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ferry_sys::process::Command;
use oci_spec::runtime::Spec;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::fcntl_dupfd_cloexec,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::{Pid, WaitOptions, waitpid},
};

use super::Monitor;
use crate::{
    Error, Exec, Launch,
    capability::{Capability, CapabilitySets},
    cgroup,
    emulation::{Emulators, Interpreter},
    protocol::{self, Call, EmulationPlace, ROOT, SHARED_MEMORY, VERSION},
    rootfs::open_root_ahead,
    zygote::{ARGV1, SOCKET},
};

/// How the zygote is started.
#[derive(Debug, Clone)]
pub struct ZygoteOptions {
    /// The program whose main calls [`crate::zygote::main`]; by default `/proc/self/exe`.
    /// It is copied into a sealed memfd and executed from there.
    pub program: PathBuf,
    /// `oom_score_adj` of the zygote and the monitors, where the engine may lower it.
    pub oom_score_adj: i32,
    /// The cgroup below which containers get theirs.
    pub cgroup_parent: cgroup::ParentPath,
}

/// A zygote process, spawned again when it dies. `Send + Sync`; calls block for about a millisecond.
///
/// Dropping it ends the zygote; monitors and containers go on.
#[derive(Debug)]
pub struct Zygote {
    options: ZygoteOptions,
    /// The program, in a memfd that nobody can write: containers see it as /proc/PID/exe of
    /// processes on the way to their program. Source: memfd_create(2), CVE-2019-5736.
    program: OwnedFd,
    process: Mutex<Process>,
    emulation: Mutex<Option<Emulation>>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    socket: OwnedFd,
}

/// The descriptors that keep the namespace for emulators alive.
#[derive(Debug)]
struct Emulation {
    user_namespace: OwnedFd,
    binfmt: OwnedFd,
    /// For containers that get a namespace of their own.
    interpreters: Vec<Interpreter>,
}

impl ZygoteOptions {
    /// The usual ones: this program, well below containers for the OOM killer.
    #[must_use]
    pub fn new(cgroup_parent: cgroup::ParentPath) -> ZygoteOptions {
        ZygoteOptions {
            program: PathBuf::from("/proc/self/exe"),
            oom_score_adj: -500,
            cgroup_parent,
        }
    }
}

impl Zygote {
    /// Starts the process. A few milliseconds, most of them for copying the program.
    pub fn spawn(options: ZygoteOptions) -> Result<Zygote, Error> {
        let program = seal(&options.program).map_err(|source| Error::SpawnZygote { source })?;
        let process = Process::start(&program, &options)?;
        Ok(Zygote {
            options,
            program,
            process: Mutex::new(process),
            emulation: Mutex::new(None),
        })
    }

    /// The zygote's process id at the moment.
    #[must_use]
    pub fn pid(&self) -> i32 {
        lock(&self.process).pid.as_raw_pid()
    }

    /// Makes the user namespace in which [`Launch::emulate`] works, once an engine: later calls do
    /// nothing. It lives as long as this handle or a container in it.
    pub fn prepare_emulation(&self, emulators: &Emulators) -> Result<(), Error> {
        let mut emulation = lock(&self.emulation);
        if emulation.is_some() {
            return Ok(());
        }
        let interpreters = emulators.interpreters();
        let call = Call::PrepareEmulation {
            interpreters: interpreters.clone(),
        };
        let connection = self.order(&call, &[])?;
        let (_, descriptors) = super::monitor::expect_answer(&connection)?;
        let Ok([user_namespace, binfmt]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            return Err(Error::UnexpectedAnswer);
        };
        *emulation = Some(Emulation {
            user_namespace,
            binfmt,
            interpreters,
        });
        Ok(())
    }

    /// Makes a container up to the point where its process waits.
    ///
    /// If the returned handle is dropped before [`Monitor::start`], the container is undone.
    /// [`Error::Launch`] says what failed; nothing is left then.
    pub fn launch(&self, launch: &Launch) -> Result<Monitor, Error> {
        self.launch_sharing(launch, None)
    }

    /// As [`Zygote::launch`], with another container's /dev/shm from [`crate::shared_memory`] in place of its own.
    pub fn launch_sharing(&self, launch: &Launch, shared_memory: Option<BorrowedFd<'_>>) -> Result<Monitor, Error> {
        let prepared = lock(&self.emulation);
        let (place, descriptors) = match (&launch.emulate, prepared.as_ref()) {
            (None, _) => (None, Vec::new()),
            (Some(_), Some(prepared)) if can_mount(&launch.spec) => {
                (Some(EmulationPlace::Own(prepared.interpreters.clone())), Vec::new())
            }
            (Some(_), Some(prepared)) => (
                Some(EmulationPlace::Shared),
                vec![prepared.user_namespace.as_fd(), prepared.binfmt.as_fd()],
            ),
            (Some(architecture), None) => {
                return Err(Error::NoEmulation {
                    architecture: architecture.clone(),
                });
            }
        };
        let call = Call::Launch {
            launch: Box::new(launch.clone()),
            emulation: place,
        };
        // Once, whatever becomes of the zygote: a volatile overlay cannot be mounted again.
        let mut root = None;
        self.make(|| {
            let connection = self.order(&call, &descriptors)?;
            let mounted = match &root {
                Some(mounted) => mounted,
                None => match open_root_ahead(&launch.root) {
                    Ok(mounted) => root.insert(mounted),
                    Err(fault) => {
                        dismiss(&connection);
                        return Err(Error::Launch(fault));
                    }
                },
            };
            let root = mounted.as_ref().map(|root| (ROOT, root.as_fd()));
            let shared = shared_memory.map(|mount| (SHARED_MEMORY, mount));
            let (names, descriptors): (Vec<&str>, Vec<BorrowedFd<'_>>) = root.into_iter().chain(shared).unzip();
            // A monitor that has failed meanwhile does not take it; its answer says why.
            let words = format!("mounts {}", names.join(" "));
            let _ = protocol::send(connection.as_fd(), words.as_bytes(), &descriptors);
            Monitor::created(connection)
        })
    }

    /// Makes a process in a running container, up to the point where it waits.
    ///
    /// [`Error::Gone`] or [`Error::NotRunning`] if the container is not running.
    pub fn exec(&self, exec: &Exec) -> Result<Monitor, Error> {
        let (container, process) = Monitor::connect(&exec.container)?.container()?;
        let call = Call::Exec {
            exec: Box::new(exec.clone()),
            container,
        };
        self.make(|| self.order(&call, &[process.as_fd()]).and_then(Monitor::created))
    }

    /// Orders a monitor, once more if the zygote died with the order.
    fn make(&self, mut attempt: impl FnMut() -> Result<Monitor, Error>) -> Result<Monitor, Error> {
        match attempt() {
            Err(Error::MonitorDied) if lock(&self.process).is_dead() => attempt(),
            outcome => outcome,
        }
    }

    /// Has a monitor forked and gives it its order; the answer comes on the returned connection.
    fn order(&self, call: &Call, descriptors: &[BorrowedFd<'_>]) -> Result<OwnedFd, Error> {
        let (near, far) = pair().map_err(|source| Error::SpawnZygote { source })?;
        self.deliver(&far)?;
        drop(far);
        let body = serde_json::to_vec(&protocol::RequestRef { version: VERSION, call })
            .map_err(|source| Error::Protocol { source })?;
        match protocol::send(near.as_fd(), &body, descriptors) {
            Ok(()) => Ok(near),
            Err(_) => Err(Error::MonitorDied),
        }
    }

    /// Hands a connection to the zygote; if that is dead, to a new one.
    fn deliver(&self, connection: &OwnedFd) -> Result<(), Error> {
        let mut process = lock(&self.process);
        if process.take(connection).is_ok() {
            return Ok(());
        }
        *process = Process::start(&self.program, &self.options)?;
        process.take(connection).map_err(|source| Error::SpawnZygote { source })
    }
}

impl Process {
    fn start(program: &OwnedFd, options: &ZygoteOptions) -> Result<Process, Error> {
        let start = || {
            let (near, far) = pair()?;
            let oom_score_adj = options.oom_score_adj.to_string();
            let arguments = ["ferry-zygote", ARGV1, &oom_score_adj, options.cgroup_parent.as_str()];
            let command = Command::new(arguments, []).ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
            let path = CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))?;
            let pid = command.spawn_with(&path, far.as_fd(), SOCKET)?;
            let pid = Pid::from_raw(pid).ok_or(io::Error::from(io::ErrorKind::Other))?;
            Ok(Process { pid, socket: near })
        };
        start().map_err(|source| Error::SpawnZygote { source })
    }

    /// Whether its end of the socket is closed. What it had not taken is lost by then.
    fn is_dead(&self) -> bool {
        let mut set = [PollFd::new(&self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut set, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    fn take(&self, connection: &OwnedFd) -> io::Result<()> {
        protocol::send(self.socket.as_fd(), b"fork", &[connection.as_fd()])
    }
}

impl Drop for Process {
    /// The zygote ends when its socket does, or is dead already; its number is free then.
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Whether a container's processes could mount the binfmt_misc of their user namespace, and so
/// change it for all others in there.
fn can_mount(spec: &Spec) -> bool {
    let capabilities = spec
        .process()
        .as_ref()
        .and_then(|process| process.capabilities().as_ref());
    capabilities
        .map(CapabilitySets::from_oci)
        .is_some_and(|sets| sets.bounding.contains(Capability::SysAdmin))
}

/// Lets a monitor that waits for more undo what it made; it has done so when this returns.
fn dismiss(connection: &OwnedFd) {
    let _ = rustix::net::shutdown(connection, rustix::net::Shutdown::Write);
    let _ = super::monitor::expect_answer(connection);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Copies a program to where nobody can change it.
pub(crate) fn seal(program: &std::path::Path) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = match memfd_create("ferry", flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 everything in a memfd can be executed, and the flag is unknown.
        Err(rustix::io::Errno::INVAL) => memfd_create("ferry", flags)?,
        other => other?,
    };
    let mut memfd = File::from(memfd);
    io::copy(&mut File::open(program)?, &mut memfd)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&memfd, seals)?;
    // Its number must still mean the program once the socket has its own in the new process.
    Ok(fcntl_dupfd_cloexec(&memfd, SOCKET + 1)?)
}
