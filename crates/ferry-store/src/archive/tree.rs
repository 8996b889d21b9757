//! A whole file system as one tar.

use std::io::{BufWriter, Write};
use std::os::fd::BorrowedFd;

use crate::Error;
use crate::layer::diff::{self, DiffOptions, Settle, Top};

/// Writes all that lies below the open directory `top` to `out`, each path resolved from there by descriptor.
/// After an error, what was written is to be thrown away; a file that shrinks meanwhile is one.
pub fn write_tree(top: BorrowedFd<'_>, out: impl Write) -> Result<(), Error> {
    let options = DiffOptions {
        clamp: None,
        settle: Settle::Leave,
        top: Top::Omit,
        lower: None,
    };
    let mut out = BufWriter::with_capacity(256 << 10, out);
    diff::write(top, &mut out, &options)?;
    out.flush().map_err(Error::Output)
}
