//! Waiting for a process in the foreground: signals go to it, its exit status becomes ours.

use std::os::fd::{AsFd, OwnedFd};

use ferry_sys::process::Child;
use ferry_sys::signals;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::Failed;
use crate::failure::ExitStatus;

/// Those that a terminal or a supervisor sends: HUP, INT, QUIT, USR1, USR2, TERM, CONT, TSTP, WINCH.
const FORWARDED: &[i32] = &[1, 2, 3, 10, 12, 15, 18, 20, 28];

/// From now on signals are read, not suffered.
pub(super) fn take_over_signals() -> Result<OwnedFd, Failed> {
    signals::take_over(FORWARDED).map_err(Failed::io("take over signals"))
}

/// Waits until the process has ended.
pub(super) fn to_its_end(child: &Child, incoming: &OwnedFd) -> Result<ExitStatus, Failed> {
    let failed = |errno: rustix::io::Errno| Failed::io("wait for the process")(errno.into());
    loop {
        let mut set = [
            PollFd::new(&child.pidfd, PollFlags::IN),
            PollFd::new(incoming, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut set, None)).map_err(failed)?;
        let [ended, signalled] = set.map(|one| !one.revents().is_empty());
        if ended {
            break;
        }
        if signalled && let Ok(number) = signals::next(incoming.as_fd()) {
            // It may end in the meantime, which the next round sees.
            let _ = signals::send(child.pidfd.as_fd(), number);
        }
    }
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).map_err(failed)?;
    let Some(status) = status else {
        return Ok(ExitStatus::FAILURE);
    };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::of_container(i64::from(code)),
        (None, Some(signal)) => ExitStatus::of_signal(u8::try_from(signal).unwrap_or(0)),
        (None, None) => ExitStatus::FAILURE,
    })
}
