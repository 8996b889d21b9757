//! The end of a group: stop, kill everyone, wait for them, remove.

use std::time::Duration;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::process::{Signal, kill_process};

use super::group::Place;
use super::parent::subdirectories;
use super::{Cgroup, Controller, Error, Version, file};

/// Bounds of waiting for the kernel: pauses double from the first to the longest; about 2 s in all.
const FIRST_PAUSE: Duration = Duration::from_micros(250);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 48;

/// What [`Cgroup::kill_all`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillOutcome {
    /// There was nobody.
    Empty,
    /// Everyone was sent SIGKILL.
    Killed,
}

impl Cgroup {
    /// Stops every process and returns once all have stopped.
    pub fn freeze(&self) -> Result<(), Error> {
        let (place, file, value) = self.freezer("1", "FROZEN")?;
        for pause in pauses() {
            // A version 1 group takes the word again for processes that joined meanwhile.
            self.write(place, file, value)?;
            if self.is_frozen()? {
                return Ok(());
            }
            std::thread::sleep(pause);
        }
        self.thaw()?;
        Err(self.still_busy(place))
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<(), Error> {
        let (place, file, value) = self.freezer("0", "THAWED")?;
        self.write(place, file, value)
    }

    /// Whether every process of the group has stopped.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        let (place, file, wanted) = self.freezer("frozen 1", "FROZEN")?;
        let file = if place.version == Version::V2 {
            "cgroup.events"
        } else {
            file
        };
        let text = self
            .read(place, file)
            .map_err(|errno| file::failed("read", &self.file_path(place, file), errno))?;
        Ok(text.lines().any(|line| line == wanted))
    }

    /// Where the group is frozen and the word for it in either version.
    fn freezer<'a>(&self, v2: &'a str, v1: &'a str) -> Result<(Place<'_>, &'static str, &'a str), Error> {
        if let Some(place) = self.unified() {
            return Ok((place, "cgroup.freeze", v2));
        }
        match self.place_of(Controller::Freezer) {
            Some(place) => Ok((place, "freezer.state", v1)),
            None => Err(Error::NoController {
                field: "freeze",
                controller: "freezer",
            }),
        }
    }

    /// Sends SIGKILL to everyone in the group and below, also to those that fork meanwhile.
    ///
    /// Returns when the signals are sent; [`Self::remove`] waits for the processes to be gone.
    /// `cgroup.kill` does it in one step (version 2 since Linux 5.14). Elsewhere the group is
    /// frozen, so that nobody escapes by forking, and each process gets the signal.
    pub fn kill_all(&self) -> Result<KillOutcome, Error> {
        if self.procs()?.is_empty() {
            return Ok(KillOutcome::Empty);
        }
        if let Some(place) = self.unified() {
            match self.try_write(place, "cgroup.kill", "1") {
                Ok(()) => return Ok(KillOutcome::Killed),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(file::failed(
                        "write \"1\" to",
                        &self.file_path(place, "cgroup.kill"),
                        errno,
                    ));
                }
            }
        }
        self.kill_one_by_one()?;
        Ok(KillOutcome::Killed)
    }

    fn kill_one_by_one(&self) -> Result<(), Error> {
        // Without a freezer the loop below still ends: each round kills whoever was born in the last.
        let frozen = self.freeze().is_ok();
        let killed = self.signal_until_nobody_is_new();
        if frozen {
            self.thaw()?;
        }
        killed
    }

    fn signal_until_nobody_is_new(&self) -> Result<(), Error> {
        let mut signalled = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut news = self.procs()?;
            news.retain(|pid| !signalled.contains(pid));
            if news.is_empty() {
                return Ok(());
            }
            for pid in &news {
                // ESRCH: it ended by itself. The pid cannot be another's: it was listed a moment
                // ago and its group is not left without us.
                let _ = kill_process(*pid, Signal::KILL);
            }
            signalled.extend(news);
        }
        match self.census() {
            Some(place) => Err(self.still_busy(place)),
            None => Ok(()),
        }
    }

    /// Removes the group and all groups below it; one that is gone already is success. Waits a
    /// bounded time, about two seconds, for processes that are dying.
    pub fn remove(&self) -> Result<(), Error> {
        let mut pauses = pauses();
        for place in self.places() {
            loop {
                match remove_tree(self.parent_directory(place), self.name().as_str()) {
                    Ok(()) => break,
                    Err(Errno::BUSY | Errno::NOTEMPTY) => match pauses.next() {
                        Some(pause) => std::thread::sleep(pause),
                        None => return Err(self.still_busy(place)),
                    },
                    Err(errno) => {
                        return Err(file::failed("remove", &self.file_path(place, ""), errno));
                    }
                }
            }
        }
        Ok(())
    }

    fn still_busy(&self, place: Place<'_>) -> Error {
        Error::StillBusy {
            path: self.file_path(place, ""),
            attempts: ATTEMPTS,
        }
    }
}

fn remove_tree(directory: std::os::fd::BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(directory, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Either processes or groups below.
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        Err(errno) => return Err(errno),
    }
    for name in subdirectories(directory, path)? {
        remove_tree(directory, &format!("{path}/{name}"))?;
    }
    match rustix::fs::unlinkat(directory, path, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let doubling = |pause: &Duration| Some((*pause * 2).min(LONGEST_PAUSE));
    std::iter::successors(Some(FIRST_PAUSE), doubling).take(ATTEMPTS as usize)
}
