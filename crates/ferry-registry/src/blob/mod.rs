//! Blobs on the wire: downloads that resume, uploads that mount, stream or go in chunks.

mod download;
mod file_body;
mod meter;
mod pipe;
mod upload;

pub(crate) use self::download::{Downloaded, download, fetch_whole};
pub(crate) use self::meter::{Direction, Meter};
pub(crate) use self::pipe::{PipeReader, pipe};
pub(crate) use self::upload::{Upload, Uploaded, presence, upload};
