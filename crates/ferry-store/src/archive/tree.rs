//! Files of somebody's as one tar: a whole file system, a folder, or what is in one under a name.

use std::io::{BufWriter, Write};
use std::os::fd::BorrowedFd;

use crate::Error;
use crate::layer::diff::{self, DiffOptions, Naming, Settle, Top};

/// What is archived.
#[derive(Debug, Clone, Copy)]
pub enum Archived<'a> {
    /// An open directory and all below it.
    Folder(BorrowedFd<'a>),
    /// What has this name in an open directory, and is no directory itself.
    Named(BorrowedFd<'a>, &'a [u8]),
}

/// Writes all that lies below the open directory `top` to `out`, each path resolved from there by descriptor.
/// After an error, what was written is to be thrown away; a file that shrinks meanwhile is one.
pub fn write_tree(top: BorrowedFd<'_>, out: impl Write) -> Result<(), Error> {
    let options = DiffOptions {
        top: Top::Omit,
        ..options(b"")
    };
    buffered(out, |out| diff::write(top, out, &options).map(drop))
}

/// Writes `what` to `out` under the name `name`: `x` gives `x/` and `x/file`, `.` gives `./` and `./file`.
/// Otherwise as [`write_tree`].
pub fn write_files(what: Archived<'_>, name: &[u8], out: impl Write) -> Result<(), Error> {
    let options = options(name);
    buffered(out, |out| match what {
        Archived::Folder(top) => diff::write(top, out, &options).map(drop),
        Archived::Named(folder, own) => diff::write_one(folder, own, out, &options),
    })
}

fn options(name: &[u8]) -> DiffOptions<'_> {
    DiffOptions {
        clamp: None,
        settle: Settle::Leave,
        top: Top::Emit,
        lower: None,
        naming: Naming::Files(name),
    }
}

fn buffered<W: Write>(out: W, write: impl FnOnce(&mut BufWriter<W>) -> Result<(), Error>) -> Result<(), Error> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let written = write(&mut out);
    if written.is_err() {
        // What is left of an archive that is thrown away would reach the reader when the buffer goes.
        drop(out.into_parts());
        return written;
    }
    out.flush().map_err(Error::Output)
}
