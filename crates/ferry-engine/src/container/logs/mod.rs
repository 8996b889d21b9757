//! Reads a container's log, rotated files included, and follows it.

mod file;
mod line;

use std::io::Result;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

pub use self::line::{LogEntry, LogStream};

use self::file::{LogFile, is_another, open_newest_first};
use self::line::{Scratch, parse, time_text};
use super::{Container, Error};
use crate::Engine;

/// What is wanted of a log. Source: Docker Engine API `ContainerLogs`.
#[derive(Debug, Clone, Default)]
pub struct LogRequest {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Only so many entries from the end.
    pub tail: Option<usize>,
    /// Nothing before this.
    pub since: Option<OffsetDateTime>,
    /// Nothing after this.
    pub until: Option<OffsetDateTime>,
    /// Goes on until the process has ended.
    pub follow: bool,
}

/// Who reads a log.
pub trait LogSink {
    /// Takes an entry; an error means that it wants no more.
    fn take(&mut self, entry: LogEntry<'_>) -> Result<()>;

    /// There is nothing more for the moment; an error means that it wants no more.
    fn pause(&mut self) -> Result<()>;
}

/// Reads a container's log.
#[derive(Debug)]
pub struct LogReader {
    container: Arc<Container>,
    path: PathBuf,
    filter: Filter,
    tail: Option<usize>,
    follow: bool,
}

/// How long a follower sleeps when there is nothing new.
const POLL: Duration = Duration::from_millis(20);

impl Engine {
    /// A reader of a container's log.
    pub fn container_logs(&self, wanted: &str, request: LogRequest) -> std::result::Result<LogReader, Error> {
        let container = self.containers.find(wanted)?;
        let path = container.log_path(&self.instance).ok_or(Error::NoLog)?;
        Ok(LogReader {
            container,
            path,
            filter: Filter {
                stdout: request.stdout,
                stderr: request.stderr,
                since: request.since.map(time_text),
                until: request.until.map(time_text),
            },
            tail: request.tail,
            follow: request.follow,
        })
    }
}

impl LogReader {
    /// Reads to the end, or until `sink` wants no more. For a thread that may block.
    pub fn run(self, sink: &mut impl LogSink) -> Result<()> {
        let mut files = open_newest_first(&self.path)?;
        if let Some(mut missing) = self.tail {
            let mut scratch = Scratch::default();
            let mut is_wanted = |line: &[u8]| {
                let entry = parse(line, &mut scratch);
                entry.is_some_and(|entry| self.filter.verdict(&entry) == Verdict::Wanted)
            };
            let mut needed = 0;
            for file in &mut files {
                missing -= file.seek_back(missing, &mut is_wanted)?;
                needed += 1;
                if missing == 0 {
                    break;
                }
            }
            files.truncate(needed);
        }
        for file in files.iter_mut().rev() {
            if self.read(file, sink)? == Next::Stop {
                return Ok(());
            }
        }
        let newest = (!files.is_empty()).then(|| files.swap_remove(0));
        drop(files);
        if self.follow { self.go_on(newest, sink) } else { Ok(()) }
    }

    /// Until the process ends, as Docker does, also if it is started again.
    fn go_on(&self, mut newest: Option<LogFile>, sink: &mut impl LogSink) -> Result<()> {
        let exits = self.container.state().exits;
        loop {
            if sink.pause().is_err() {
                return Ok(());
            }
            // Both asked before the read: what was written before the end, or before the file was set aside, is read.
            let state = self.container.state();
            let has_ended = !state.has_process() || state.exits != exits;
            let was_set_aside = newest.as_ref().is_none_or(|file| is_another(&self.path, file));
            if let Some(file) = &mut newest
                && self.read(file, sink)? == Next::Stop
            {
                return Ok(());
            }
            if was_set_aside && let Some(newer) = newer_than(newest.as_ref(), open_newest_first(&self.path)?) {
                newest = Some(newer);
                continue;
            }
            if has_ended {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Reads to the file's present end.
    fn read(&self, file: &mut LogFile, sink: &mut impl LogSink) -> Result<Next> {
        let mut scratch = Scratch::default();
        while let Some(line) = file.next()? {
            let Some(entry) = parse(line, &mut scratch) else {
                continue;
            };
            match self.filter.verdict(&entry) {
                Verdict::TooLate => return Ok(Next::Stop),
                Verdict::Unwanted => {}
                Verdict::Wanted => {
                    if sink.take(entry).is_err() {
                        return Ok(Next::Stop);
                    }
                }
            }
        }
        Ok(Next::More)
    }
}

/// The file that was begun after `file`, or the oldest that there is if `file` is gone.
fn newer_than(file: Option<&LogFile>, mut newest_first: Vec<LogFile>) -> Option<LogFile> {
    match newest_first
        .iter()
        .position(|other| Some(other.identity) == file.map(|file| file.identity))
    {
        Some(0) => None,
        Some(at) => Some(newest_first.swap_remove(at - 1)),
        None => newest_first.pop(),
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    More,
    Stop,
}

/// Which entries are wanted.
#[derive(Debug)]
struct Filter {
    stdout: bool,
    stderr: bool,
    since: Option<String>,
    until: Option<String>,
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Wanted,
    Unwanted,
    TooLate,
}

impl Filter {
    fn verdict(&self, entry: &LogEntry<'_>) -> Verdict {
        let is_wanted = match entry.stream {
            LogStream::Stdout => self.stdout,
            LogStream::Stderr => self.stderr,
        };
        if self.until.as_deref().is_some_and(|until| entry.time > until) {
            Verdict::TooLate
        } else if is_wanted && self.since.as_deref().is_none_or(|since| entry.time >= since) {
            Verdict::Wanted
        } else {
            Verdict::Unwanted
        }
    }
}
