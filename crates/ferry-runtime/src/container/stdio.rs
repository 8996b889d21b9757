//! A process' three standard streams, and the terminal that may be all of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fchown, fstat, fstatfs, major, minor, openat2},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::ioctl_tiocsctty,
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    termios::{Winsize, tcsetwinsize},
};

use super::user::Identity;
use crate::{Fault, WindowSize, rootfs::open_null};

/// Where the streams will come from.
#[derive(Debug)]
pub(crate) enum Streams {
    /// Descriptors that the monitor prepared; without stdin it is the container's /dev/null.
    Pipes {
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A terminal that is made inside the container.
    Terminal(WindowSize),
    /// Those that the maker has itself.
    Inherited,
}

/// A new terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    /// What the monitor reads and writes.
    pub(super) controller: OwnedFd,
    /// What the process has.
    pub(super) process_side: OwnedFd,
}

/// `f_type` of devpts. Source: statfs(2), `linux/magic.h`.
const DEVPTS_MAGIC: i64 = 0x1cd1;
/// The device behind /dev/pts/ptmx. Source: pts(4).
const PTMX: (u32, u32) = (5, 2);

impl Terminal {
    /// Opens a terminal of the container's own devpts, which is checked to be one: in a running
    /// container anything may lie there.
    pub(super) fn open(root: BorrowedFd<'_>, size: WindowSize) -> Result<Terminal, Fault> {
        let fault = |step: &str| {
            let step = step.to_owned();
            move |errno: Errno| Fault::Terminal {
                step,
                errno: errno.into(),
            }
        };
        let find = |flags| {
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
            openat2(root, "dev/pts/ptmx", flags | OFlags::CLOEXEC, Mode::empty(), resolve)
                .map_err(fault("open /dev/pts/ptmx"))
        };
        let probe = find(OFlags::PATH)?;
        let stat = fstat(&probe).map_err(fault("stat /dev/pts/ptmx"))?;
        let genuine = FileType::from_raw_mode(stat.st_mode).is_char_device()
            && (major(stat.st_rdev), minor(stat.st_rdev)) == PTMX
            && fstatfs(&probe).is_ok_and(|fs| fs.f_type == DEVPTS_MAGIC);
        if !genuine {
            return Err(fault("/dev/pts/ptmx is no terminal multiplexer")(Errno::NODEV));
        }
        let controller = find(OFlags::RDWR | OFlags::NOCTTY)?;
        unlockpt(&controller).map_err(fault("unlock"))?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let process_side = ioctl_tiocgptpeer(&controller, flags).map_err(fault("open the other side"))?;
        let winsize = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, winsize).map_err(fault("set the size"))?;
        Ok(Terminal {
            controller,
            process_side,
        })
    }

    /// Makes it the caller's controlling terminal and standard streams. The caller leads a session.
    pub(super) fn install(&self, identity: &Identity) -> Result<(), Fault> {
        let side = self.process_side.as_fd();
        ioctl_tiocsctty(side).map_err(|errno| Fault::Terminal {
            step: "make it the controlling terminal".to_owned(),
            errno: errno.into(),
        })?;
        install(side, side, side, identity)
    }
}

/// Makes three descriptors the caller's standard streams, owned by its user, so that it can open
/// /dev/stdout anew.
pub(super) fn install(
    stdin: BorrowedFd<'_>,
    stdout: BorrowedFd<'_>,
    stderr: BorrowedFd<'_>,
    identity: &Identity,
) -> Result<(), Fault> {
    dup2_stdin(stdin).map_err(Fault::system("dup2"))?;
    dup2_stdout(stdout).map_err(Fault::system("dup2"))?;
    dup2_stderr(stderr).map_err(Fault::system("dup2"))?;
    if identity.uid == 0 {
        return Ok(());
    }
    give(identity, [stdin, stdout, stderr]);
    Ok(())
}

/// Lets the process' user open anew what it has from its maker.
pub(super) fn hand_over(identity: &Identity) {
    use rustix::stdio::{stderr, stdin, stdout};
    if identity.uid != 0 {
        give(identity, [stdin(), stdout(), stderr()]);
    }
}

fn give(identity: &Identity, streams: [BorrowedFd<'_>; 3]) {
    for stream in streams {
        let is_null = fstat(stream).is_ok_and(|stat| (major(stat.st_rdev), minor(stat.st_rdev)) == NULL);
        if !is_null {
            // The group stays, as it is `tty` for terminals. Fails where ids are not mapped: then
            // the owner stays as well.
            let _ = fchown(stream, Some(Uid::from_raw(identity.uid)), None::<Gid>);
        }
    }
}

const NULL: (u32, u32) = (1, 3);

/// A standard input at its end: the container's own /dev/null, never the host's, whose mode root
/// inside could change; in a root without one, a pipe that nobody writes to.
pub(super) fn no_input(root: BorrowedFd<'_>) -> Result<OwnedFd, Fault> {
    if let Ok(null) = open_null(root, OFlags::RDONLY | OFlags::NOCTTY) {
        return Ok(null);
    }
    let (reader, _writer) = pipe_with(PipeFlags::CLOEXEC).map_err(Fault::system("pipe2"))?;
    Ok(reader)
}
