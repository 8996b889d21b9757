//! A process' end: how it ended, on disk before anybody is told.

use std::{os::fd::OwnedFd, path::PathBuf};

use rustix::{
    fs::{CWD, Mode, OFlags, fsync, openat, renameat},
    io::{Errno, retry_on_intr, write},
    process::WaitIdStatus,
};
use time::OffsetDateTime;

use crate::{Durability, Exit, cgroup::Cgroup};

/// Where a process' end is recorded, and what is to be known about it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    /// The container's own.
    pub(super) cgroup: Option<Cgroup>,
    /// Whether its end ends all that it started: it leads a pid namespace.
    pub(super) private_pids: bool,
}

impl Record {
    /// Describes the end of a process that was waited for.
    pub(super) fn describe(&self, status: Option<&WaitIdStatus>, started_at: Option<OffsetDateTime>) -> Exit {
        const SIGNAL_BASE: i32 = 128;
        let signal = status.and_then(WaitIdStatus::terminating_signal);
        let code = match (signal, status.and_then(WaitIdStatus::exit_status)) {
            (Some(signal), _) => SIGNAL_BASE + signal,
            (None, Some(code)) => code,
            (None, None) => i32::from(u8::MAX),
        };
        Exit {
            version: Exit::VERSION,
            code: u8::try_from(code & 0xff).unwrap_or(u8::MAX),
            signal,
            oom_killed: self
                .cgroup
                .as_ref()
                .and_then(|cgroup| cgroup.oom_kills().ok())
                .is_some_and(|kills| kills > 0),
            started_at,
            finished_at: OffsetDateTime::now_utc(),
        }
    }

    /// Puts the record at its place, whole or not at all.
    pub(super) fn write(&self, exit: &Exit) -> Result<(), Errno> {
        let body = serde_json::to_vec(exit).map_err(|_| Errno::INVAL)?;
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let file: OwnedFd = openat(CWD, &temporary, flags, Mode::from_raw_mode(0o600))?;
        let mut rest = body.as_slice();
        while !rest.is_empty() {
            let written = retry_on_intr(|| write(&file, rest))?;
            rest = &rest[written..];
        }
        if self.durability == Durability::Durable {
            fsync(&file)?;
        }
        renameat(CWD, &temporary, CWD, &self.path)?;
        if self.durability == Durability::Durable
            && let Some(folder) = self.path.parent()
        {
            fsync(openat(CWD, folder, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
        }
        Ok(())
    }
}
