//! `kill`: signals for a container's first process, or for all.

use ferry_sys::signals;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, OwnedFd};

use super::{ContainerId, Error, Home, Record, record::ProcessRecord};
use crate::Signal;

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The first process.
    First,
    /// Every process of the container's cgroup.
    All,
}

const NAMES: &[&str] = &[
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];
const REALTIME: (i32, i32) = (34, 64);

/// A number, or a name in any case with or without `SIG`.
pub fn parse_signal(word: &str) -> Result<Signal, Error> {
    let unknown = || Error::Signal { word: word.to_owned() };
    if let Ok(number) = word.parse::<i32>() {
        return Signal::try_from(number).map_err(|_| unknown());
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let alias = match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        name => name,
    };
    let position = NAMES.iter().position(|known| *known == alias);
    let number = match position {
        Some(place) => i32::try_from(place).map_err(|_| unknown())? + 1,
        None => realtime(name).ok_or_else(unknown)?,
    };
    Signal::try_from(number).map_err(|_| unknown())
}

/// `RTMIN`, `RTMIN+3`, `RTMAX-1`.
fn realtime(name: &str) -> Option<i32> {
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => REALTIME.0,
        (_, Some("")) => REALTIME.1,
        (Some(rest), _) => REALTIME.0 + rest.strip_prefix('+')?.parse::<u8>().map(i32::from).ok()?,
        (_, Some(rest)) => REALTIME.1 - rest.strip_prefix('-')?.parse::<u8>().map(i32::from).ok()?,
        (None, None) => return None,
    };
    (REALTIME.0..=REALTIME.1).contains(&number).then_some(number)
}

/// Sends a signal. A container that is stopped gets none, unless all are meant, of whom there may be some left.
pub fn kill(home: &Home, id: &ContainerId, signal: Signal, whom: Whom) -> Result<(), Error> {
    let record = Record::load(home, id)?;
    let not_running = || Error::NotRunning { id: id.to_string() };
    if whom == Whom::All {
        let Some(cgroup) = record.cgroup()? else {
            return Ok(());
        };
        if signal == Signal::KILL {
            cgroup.kill_all()?;
        } else {
            for pid in cgroup.procs()? {
                if let Some(process) = open(pid) {
                    // It may end in the meantime.
                    let _ = signals::send(process.as_fd(), signal.number());
                }
            }
        }
        return Ok(());
    }
    let process = record.process.ok_or_else(not_running)?;
    let first = open_living(process).ok_or_else(not_running)?;
    signals::send(first.as_fd(), signal.number()).map_err(|_| not_running())?;
    if signal == Signal::KILL
        && let Some(cgroup) = record.cgroup()?
    {
        if cgroup.is_frozen().unwrap_or(false) {
            // Version 1 does not let frozen processes die.
            cgroup.thaw()?;
        }
        if !record.private_pids {
            // Nothing ends the others with the first.
            cgroup.kill_all()?;
        }
    }
    Ok(())
}

fn open(pid: Pid) -> Option<OwnedFd> {
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// A descriptor of a process that lives: the number is looked at once more behind it, so that it is no other's.
pub(super) fn open_living(process: ProcessRecord) -> Option<OwnedFd> {
    let pidfd = open(Pid::from_raw(process.pid)?)?;
    process.lives().then_some(pidfd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_numbers_and_names() {
        for (word, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGHUP", 1),
            ("SYS", 31),
            ("RTMIN+1", 35),
            ("SIGRTMAX", 64),
            ("rtmax-2", 62),
        ] {
            assert_eq!(parse_signal(word).unwrap().number(), number, "{word}");
        }
        for bad in ["", "0", "65", "NONE", "SIGSIGKILL", "RTMIN+99", "RTMIN-1"] {
            assert!(parse_signal(bad).is_err(), "{bad}");
        }
    }
}
