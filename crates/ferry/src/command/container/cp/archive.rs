//! The archive between two sides of a copy: written and unpacked on a thread, while it travels.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ferry_daemon::{BodyReader, BodyWriter};
use ferry_store::archive::{Archived, Extraction, Owner, Rename, Replacing, extract, write_files};
use ferry_store::{Error, Limits};
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use rustix::fs::{Mode, OFlags};
use tokio::task::JoinHandle;

use super::local::Source;
use crate::engine::{self, Body};
use crate::failure::{Explain, Failure};

/// Begins to write `source` under the name `name`; how many bytes that are is known in the end.
pub(super) fn send(source: Source, name: String) -> (JoinHandle<Result<u64, Failure>>, Body) {
    let (mut writer, body) = BodyWriter::new();
    let writing = tokio::task::spawn_blocking(move || {
        let mut counted = Counted {
            inner: &mut writer,
            bytes: 0,
        };
        let written = write(&source, &name, &mut counted);
        let bytes = counted.bytes;
        match written.map(|()| writer.flush()) {
            // Whoever reads no further says why.
            Ok(_) | Err(Written::Output) => Ok(bytes),
            Err(Written::Source(failure)) => {
                writer.fail(&failure);
                Err(failure)
            }
        }
    });
    let pieces = TryStreamExt::map_err(body.into_data_stream(), io::Error::other);
    (writing, engine::streamed(pieces))
}

/// Why an archive was not written to its end.
enum Written {
    Source(Failure),
    Output,
}

impl From<Error> for Written {
    fn from(error: Error) -> Self {
        match error {
            Error::Output(_) => Self::Output,
            error => Self::Source(Failure::new(error.to_string())),
        }
    }
}

fn write(source: &Source, name: &str, out: impl Write) -> Result<(), Written> {
    let folder = open(Path::new(&source.folder)).map_err(Written::Source)?;
    if !source.is_directory {
        let file = Archived::Named(folder.as_fd(), source.entry.as_bytes());
        return Ok(write_files(file, name.as_bytes(), out)?);
    }
    let whole = open(&Path::new(&source.folder).join(&source.entry)).map_err(Written::Source)?;
    Ok(write_files(Archived::Folder(whole.as_fd()), name.as_bytes(), out)?)
}

/// Unpacks what comes into `folder`; says how many bytes came. What is there is not replaced by something of another
/// kind, and belongs to whoever copies.
pub(super) async fn receive(body: Incoming, folder: PathBuf, rename: Option<Rename>) -> Result<u64, Failure> {
    let reader = BodyReader::from_pieces(TryStreamExt::map_err(body.into_data_stream(), io::Error::other));
    let unpacking = tokio::task::spawn_blocking(move || {
        let top = open(&folder)?;
        let mut counted = Counted {
            inner: reader,
            bytes: 0,
        };
        let extraction = Extraction {
            replacing: Replacing::SameKind,
            owner: Owner::Caller,
            rename,
            ..Extraction::default()
        };
        let tar = io::BufReader::with_capacity(256 << 10, &mut counted);
        match extract(tar, top, &extraction, &Limits::default()) {
            Ok(()) => Ok(counted.bytes),
            Err(Error::Input(error)) => Err(Failure::new(format!("the engine's archive broke off: {error}"))),
            Err(error) => Err(Failure::new(format!("cannot copy to {}: {error}", folder.display()))),
        }
    });
    unpacking.await.explain(|| "copying")?
}

fn open(folder: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty()).explain(|| format!("cannot open {}", folder.display()))
}

/// Counts the bytes that pass.
struct Counted<T> {
    inner: T,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.bytes += len as u64;
        Ok(len)
    }
}
