//! Reads a container's log, rotated files included, and follows it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::{Container, Error};
use crate::Engine;

/// Which stream an entry came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line, or a part of 16 KiB of a longer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Which stream it came from.
    pub stream: LogStream,
    /// When it was written.
    pub at: OffsetDateTime,
    /// The bytes, the line's end included.
    pub bytes: Vec<u8>,
}

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

/// Entries that wait for a slow reader at most; the file keeps the rest.
const BACKLOG: usize = 64;
/// How long a follower sleeps when there is nothing new. The end of the process wakes it at once.
const POLL: Duration = Duration::from_millis(20);

impl Engine {
    /// Reads a container's log. The reader runs on a thread of its own, which ends when the receiver
    /// is dropped.
    pub fn container_logs(&self, wanted: &str, request: LogRequest) -> Result<mpsc::Receiver<LogEntry>, Error> {
        let container = self.containers.find(wanted)?;
        let path = container.log_path(&self.instance).ok_or(Error::NoLog)?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        tokio::task::spawn_blocking(move || {
            let mut reader = Reader {
                request,
                sender,
                container,
            };
            if let Err(error) = reader.run(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot read a log");
            }
        });
        Ok(receiver)
    }
}

struct Reader {
    request: LogRequest,
    sender: mpsc::Sender<LogEntry>,
    container: Arc<Container>,
}

/// The receiver has gone, or the time asked for is over.
struct Done;

impl Reader {
    fn run(&mut self, path: &Path) -> std::io::Result<()> {
        let mut current = None;
        let mut tail = VecDeque::new();
        for file in files_oldest_first(path) {
            let is_current = file == path;
            let mut reader = match File::open(&file) {
                Ok(file) => BufReader::with_capacity(256 << 10, file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if self.read_to_end(&mut reader, Some(&mut tail))?.is_err() {
                return Ok(());
            }
            if is_current {
                current = Some(reader);
            }
        }
        for entry in tail {
            if self.sender.blocking_send(entry).is_err() {
                return Ok(());
            }
        }
        if self.request.follow {
            self.request.tail = None;
            self.follow(path, current)?;
        }
        Ok(())
    }

    /// Until the process ends, as Docker does, also if it is started again.
    fn follow(&mut self, path: &Path, mut current: Option<BufReader<File>>) -> std::io::Result<()> {
        let exits = self.container.state().exits;
        loop {
            // Asked before the read: what was written before the end is read after it.
            let state = self.container.state();
            let has_ended = !state.has_process() || state.exits != exits;
            if current.is_none() {
                current = File::open(path).ok().map(BufReader::new);
            }
            if let Some(reader) = &mut current {
                if self.read_to_end(reader, None)?.is_err() {
                    return Ok(());
                }
                if was_rotated(reader.get_ref(), path) {
                    // What was written between the read and the rotation is still in the old file.
                    if self.read_to_end(reader, None)?.is_err() {
                        return Ok(());
                    }
                    current = None;
                    continue;
                }
            }
            if has_ended || self.sender.is_closed() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Reads whole lines up to the present end; a half-written one waits for its rest.
    fn read_to_end(
        &self,
        reader: &mut BufReader<File>,
        mut tail: Option<&mut VecDeque<LogEntry>>,
    ) -> std::io::Result<Result<(), Done>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let start = reader.stream_position()?;
            if reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(Ok(()));
            }
            if !line.ends_with(b"\n") {
                reader.seek(SeekFrom::Start(start))?;
                return Ok(Ok(()));
            }
            // A line that a power cut left damaged is passed over.
            let Some(entry) = parse(&line) else { continue };
            if self.request.until.is_some_and(|until| entry.at > until) {
                return Ok(Err(Done));
            }
            if !self.is_wanted(&entry) {
                continue;
            }
            match (&mut tail, self.request.tail) {
                (Some(_), Some(0)) => {}
                (Some(tail), Some(limit)) => {
                    if tail.len() == limit {
                        tail.pop_front();
                    }
                    tail.push_back(entry);
                }
                _ => {
                    if self.sender.blocking_send(entry).is_err() {
                        return Ok(Err(Done));
                    }
                }
            }
        }
    }

    fn is_wanted(&self, entry: &LogEntry) -> bool {
        let wanted = match entry.stream {
            LogStream::Stdout => self.request.stdout,
            LogStream::Stderr => self.request.stderr,
        };
        wanted && self.request.since.is_none_or(|since| entry.at >= since)
    }
}

/// The oldest rotated file first, the current one last.
fn files_oldest_first(path: &Path) -> Vec<PathBuf> {
    let rotated = |n: u32| PathBuf::from(format!("{}.{n}", path.display()));
    let newest_first = (1..).map(rotated).take_while(|file| file.exists());
    let mut files: Vec<_> = newest_first.collect();
    files.reverse();
    files.push(path.to_owned());
    files
}

fn was_rotated(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (open.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => open.ino() != named.ino(),
        _ => false,
    }
}

/// One line of Docker's json-file format.
fn parse(line: &[u8]) -> Option<LogEntry> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        log: std::borrow::Cow<'a, str>,
        stream: &'a str,
        time: &'a str,
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some(LogEntry {
        stream: match line.stream {
            "stdout" => LogStream::Stdout,
            "stderr" => LogStream::Stderr,
            _ => return None,
        },
        at: OffsetDateTime::parse(line.time, &Rfc3339).ok()?,
        bytes: line.log.into_owned().into_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_docker_s_json_file() {
        let entry = parse(br#"{"log":"a\u0000\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}"#).unwrap();
        assert_eq!(
            (entry.stream, entry.bytes.as_slice()),
            (LogStream::Stderr, b"a\0\n".as_slice())
        );
        for bad in ["", "{", r#"{"log":"x","stream":"other","time":"2026-01-02T03:04:05Z"}"#] {
            assert_eq!(parse(bad.as_bytes()), None);
        }
    }

    #[test]
    fn rotated_files_are_read_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for name in ["log", "log.1", "log.2"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = files_oldest_first(&path);
        let expected = ["log.2", "log.1", "log"].map(|name| dir.path().join(name));
        assert_eq!(names, expected);
    }
}
