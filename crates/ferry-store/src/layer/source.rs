//! The stream that a layer comes from: counted, stored as it is read, and asked why it failed.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;

use ferry_oci::{Descriptor, Digest};

use super::limits::Limits;
use crate::{Error, Ingest};

/// What passes through one import: decoders lie between the stream and whoever asks, so failures of
/// the stream itself are kept here, beside them.
#[derive(Clone)]
pub(super) struct Flow(Rc<State>);

struct State {
    failure: RefCell<Option<Error>>,
    compressed_bytes: Cell<u64>,
    unpacked_bytes: Cell<u64>,
    unpacked_limit: u64,
    ratio_limit: u64,
}

impl Flow {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Rc::new(State {
            failure: RefCell::new(None),
            compressed_bytes: Cell::new(0),
            unpacked_bytes: Cell::new(0),
            unpacked_limit: limits.unpacked_bytes,
            ratio_limit: limits.compression_ratio,
        }))
    }

    /// The stream's own failure if there was one, otherwise `error`, which a decoder reported.
    pub(super) fn explain(&self, error: Error) -> Error {
        self.0.failure.take().unwrap_or(error)
    }

    /// Counts `len` more uncompressed bytes; an error once they are too many.
    pub(super) fn check_unpacked(&self, len: usize) -> Result<(), Error> {
        let total_bytes = self.0.unpacked_bytes.get() + len as u64;
        self.0.unpacked_bytes.set(total_bytes);
        if total_bytes > self.0.unpacked_limit {
            return Err(Error::Limit {
                what: "unpacked bytes",
                limit: self.0.unpacked_limit,
            });
        }
        let allowed = self.0.compressed_bytes.get().saturating_mul(self.0.ratio_limit);
        if total_bytes.saturating_sub(Limits::FREE_BYTES) > allowed {
            return Err(Error::Limit {
                what: "unpacked bytes for each compressed one",
                limit: self.0.ratio_limit,
            });
        }
        Ok(())
    }

    fn fail(&self, error: Error) -> io::Error {
        *self.0.failure.borrow_mut() = Some(error);
        io::ErrorKind::Other.into()
    }
}

/// A stream whose bytes are counted and, if wanted, stored.
pub(super) struct Watched<R> {
    input: R,
    flow: Flow,
    ingest: Option<Ingest>,
    promised: Option<(Digest, u64)>,
}

impl<R: Read> Watched<R> {
    /// `input` as it is.
    pub(super) fn reading(input: R, flow: &Flow) -> Self {
        Self {
            input,
            flow: flow.clone(),
            ingest: None,
            promised: None,
        }
    }

    /// `input`, which should be `size_bytes` of `digest`; it is stored on the way.
    pub(super) fn storing(input: R, flow: &Flow, ingest: Ingest, digest: Digest, size_bytes: u64) -> Self {
        Self {
            input,
            flow: flow.clone(),
            ingest: Some(ingest),
            promised: Some((digest, size_bytes)),
        }
    }

    /// Makes what was stored visible, if it is what was promised.
    pub(super) fn commit(self, descriptor: &Descriptor) -> Result<(), Error> {
        match self.ingest {
            Some(ingest) => ingest.commit_as(descriptor).map(drop),
            None => Ok(()),
        }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = match self.input.read(buffer) {
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.flow.fail(Error::Input(error))),
        };
        let total_bytes = self.flow.0.compressed_bytes.get() + len as u64;
        self.flow.0.compressed_bytes.set(total_bytes);
        if let Some((digest, expected_bytes)) = self.promised
            && (total_bytes > expected_bytes || (len == 0 && total_bytes < expected_bytes))
        {
            return Err(self.flow.fail(Error::SizeMismatch {
                digest,
                expected_bytes,
                actual_bytes: total_bytes,
            }));
        }
        if let Some(ingest) = &mut self.ingest
            && let Err(error) = ingest.write_all(&buffer[..len])
        {
            return Err(self.flow.fail(ingest.failed(error)));
        }
        Ok(len)
    }
}
