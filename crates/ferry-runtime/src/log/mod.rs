//! Keeping a process' output: Docker's json-file format, with rotation.

mod compress;
mod file;
mod line;

use std::path::Path;

use time::OffsetDateTime;

pub use compress::identity;
pub(crate) use line::Stream;

use self::{
    file::{Aside, RotatingFile},
    line::LineEncoder,
};
use crate::{Errno, Fault, Log};

/// Where output is kept.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// Nowhere.
    None,
    /// In files.
    JsonFile(Box<JsonFile>),
}

/// The two streams' lines on their way to a file.
#[derive(Debug)]
pub(crate) struct JsonFile {
    file: RotatingFile,
    stdout: LineEncoder,
    stderr: LineEncoder,
    /// The first write that failed; output goes on without being kept then.
    failed: Option<Errno>,
}

/// The log of `pieces` of output, all written at `now`.
#[cfg(any(test, fuzzing))]
pub(crate) fn lines_of<'a>(pieces: impl Iterator<Item = &'a [u8]>, now: OffsetDateTime) -> Vec<u8> {
    let mut encoder = LineEncoder::new(Stream::Stdout);
    encoder.set_time(now);
    for piece in pieces {
        encoder.push(piece);
    }
    encoder.end();
    encoder.complete().to_vec()
}

/// Encoded lines are written once they are this many.
const WRITE_AT_BYTES: usize = 512 * 1024;
/// Input that is encoded before it is looked whether to write: bounds the memory, for an empty line
/// grows eightyfold.
const PIECE_BYTES: usize = 4 * 1024;

impl Keeper {
    /// Opens or creates the file.
    pub(crate) fn open(log: &Log) -> Result<Keeper, Fault> {
        match log {
            Log::None => Ok(Keeper::None),
            Log::JsonFile {
                path,
                max_size_bytes,
                max_files,
            } => Keeper::in_files(path, *max_size_bytes, *max_files, Aside::Plain),
            Log::CompressedFile {
                path,
                max_size_bytes,
                max_files,
            } => Keeper::in_files(path, Some(*max_size_bytes), *max_files, Aside::Compressed),
        }
    }

    fn in_files(path: &Path, max_size_bytes: Option<u64>, max_files: u32, aside: Aside) -> Result<Keeper, Fault> {
        let file = RotatingFile::open(path, max_size_bytes, max_files, aside).map_err(|errno| Fault::Log {
            path: path.to_owned(),
            errno: errno.into(),
        })?;
        Ok(Keeper::JsonFile(Box::new(JsonFile {
            file,
            stdout: LineEncoder::new(Stream::Stdout),
            stderr: LineEncoder::new(Stream::Stderr),
            failed: None,
        })))
    }

    /// Keeps what was read at `now`. Lines without an end are held back until they have one or are
    /// 16 KiB long.
    pub(crate) fn keep(&mut self, stream: Stream, bytes: &[u8], now: OffsetDateTime) {
        let Keeper::JsonFile(json) = self else { return };
        json.encoder(stream).set_time(now);
        for piece in bytes.chunks(PIECE_BYTES) {
            json.encoder(stream).push(piece);
            if json.encoder(stream).complete().len() >= WRITE_AT_BYTES {
                json.write(stream);
            }
        }
        json.write(stream);
    }

    /// Writes the last line of a stream that has ended, although it has no end.
    pub(crate) fn end(&mut self, stream: Stream, now: OffsetDateTime) {
        let Keeper::JsonFile(json) = self else { return };
        json.encoder(stream).set_time(now);
        json.encoder(stream).end();
        json.write(stream);
    }

    /// Why something could not be kept, the first time.
    pub(crate) fn failure(&self) -> Option<Errno> {
        match self {
            Keeper::None => None,
            Keeper::JsonFile(json) => json.failed,
        }
    }

    /// Gives back memory that only a busy stream needs.
    pub(crate) fn rest(&mut self) {
        if let Keeper::JsonFile(json) = self {
            json.file.rest();
            json.stdout.shrink();
            json.stderr.shrink();
        }
    }
}

impl JsonFile {
    fn encoder(&mut self, stream: Stream) -> &mut LineEncoder {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn write(&mut self, stream: Stream) {
        let encoder = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if !encoder.complete().is_empty()
            && let Err(errno) = self.file.append(encoder.complete())
        {
            // A full disk must not stop the process, whose output attached clients still get.
            self.failed.get_or_insert(errno.into());
        }
        encoder.drop_complete();
    }
}
