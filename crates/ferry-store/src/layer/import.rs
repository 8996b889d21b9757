//! One pass from a compressed stream to an unpacked layer: hash, store, decompress, hash, unpack.
//!
//! The calling thread reads, hashes, stores and decompresses; a second one unpacks. Between them is a
//! bounded pipe, so that memory does not grow with the layer. Nothing is visible before the blob's
//! digest and size and the layer's DiffID were found right.

use std::io::{self, BufReader, BufWriter, Read, Write};

use ferry_oci::{Descriptor, DiffId, Digest, Hasher, media_type};

use super::decompress::Decompressed;
use super::diff::Written;
use super::gzip::ParallelGzip;
use super::limits::Limits;
use super::pipe::{PIECE_BYTES, PieceSender, pipe};
use super::source::{Flow, Watched};
use super::stored::{LayerRecord, Source, Staging, write_compressed};
use super::unpack::{Unpacked, Whiteouts, unpack};
use crate::error::TarError;
use crate::store::folder;
use crate::{Blob, Error, Ingest, Store};

/// Stores and unpacks the layer that `descriptor` and `diff_id` promise; see [`super::Layers::import`].
pub(super) fn import(
    store: &Store,
    compressed: impl Read,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    limits: &Limits,
) -> Result<(), Error> {
    let digest = Digest::try_from(descriptor.digest())?;
    let flow = Flow::new(limits);
    let input = Watched::storing(compressed, &flow, store.content().ingest()?, digest, descriptor.size());
    if store.layers().has(diff_id) {
        // Another compressed form of a layer that is here already: only the blob is missing.
        let (actual, input) = decompress(input, &flow, &mut |_| Ok(true))?;
        check(digest, diff_id, actual)?;
        return input.commit(descriptor);
    }
    let staging = Staging::new(store)?;
    let ((actual, input), unpacked) = unpack_beside(&staging, limits, |sender| {
        decompress(input, &flow, &mut |piece| Ok(sender.send(piece)))
    })?;
    check(digest, diff_id, actual)?;
    input.commit(descriptor)?;
    let source = Source::Blob(Box::new(descriptor.clone()));
    staging.publish(diff_id, &LayerRecord::of_unpacked(&unpacked, source))
}

/// Unpacks a blob that is here already; see [`super::Layers::import_stored`].
pub(super) fn import_stored(
    store: &Store,
    descriptor: &Descriptor,
    diff_id: &DiffId,
    limits: &Limits,
) -> Result<(), Error> {
    let digest = Digest::try_from(descriptor.digest())?;
    let flow = Flow::new(limits);
    let input = Watched::reading(store.content().open(&digest)?, &flow);
    let staging = Staging::new(store)?;
    let ((actual, _), unpacked) = unpack_beside(&staging, limits, |sender| {
        decompress(input, &flow, &mut |piece| Ok(sender.send(piece)))
    })?;
    check(digest, diff_id, actual)?;
    let source = Source::Blob(Box::new(descriptor.clone()));
    staging.publish(diff_id, &LayerRecord::of_unpacked(&unpacked, source))
}

/// Unpacks a tar that nobody promised anything about, and compresses it on the way; see
/// [`super::Layers::unpack`].
pub(super) fn import_tar(
    store: &Store,
    tar: impl Read,
    expected: Option<&DiffId>,
    limits: &Limits,
) -> Result<DiffId, Error> {
    let writing = || Error::file("write to", store.folder(folder::TMP));
    let flow = Flow::new(limits);
    let input = Watched::reading(tar, &flow);
    let mut gzip = ParallelGzip::new(store.content().ingest()?).map_err(writing())?;
    let staging = Staging::new(store)?;
    let ((diff_id, _), unpacked) = unpack_beside(&staging, limits, |sender| {
        decompress(input, &flow, &mut |piece| {
            gzip.write_all(&piece).map_err(writing())?;
            Ok(sender.send(piece))
        })
    })?;
    if let Some(expected) = expected {
        check(diff_id.0, expected, diff_id)?;
    }
    let descriptor = commit_gzip(gzip.finish().map_err(writing())?)?;
    let source = Source::Blob(Box::new(descriptor.clone()));
    staging.publish(&diff_id, &LayerRecord::of_unpacked(&unpacked, source))?;
    write_compressed(store, &diff_id, &descriptor)?;
    Ok(diff_id)
}

/// Unpacks the tar that `write` writes into `staging`, and returns its DiffID.
pub(crate) fn unpack_written(
    staging: &Staging,
    write: impl FnOnce(&mut BufWriter<HashingPipe>) -> Result<Written, Error>,
) -> Result<(DiffId, Written), Error> {
    let (written, _) = unpack_beside(staging, &Limits::default(), |sender| {
        let pipe = HashingPipe {
            hasher: Hasher::new(),
            sender,
        };
        let mut out = BufWriter::with_capacity(PIECE_BYTES, pipe);
        let written = write(&mut out)?;
        let pipe = out.into_inner().map_err(|error| Error::Output(error.into_error()))?;
        Ok((DiffId(pipe.hasher.finish()), written))
    })?;
    Ok(written)
}

/// Puts what is written into a pipe, and takes its digest.
pub(crate) struct HashingPipe {
    hasher: Hasher,
    sender: PieceSender,
}

impl Write for HashingPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        if self.sender.send(bytes.to_vec()) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes what Ferry compressed visible, and describes it.
pub(super) fn commit_gzip(ingest: Ingest) -> Result<Descriptor, Error> {
    let size_bytes = ingest.written_bytes();
    let digest = ingest.commit(None)?;
    let media_type = media_type::OCI_LAYER_GZIP.into();
    Ok(Descriptor::new(media_type, size_bytes, digest))
}

/// The tar within the blob `digest`, of which `diff_id` is the digest, written to `out`.
pub(super) fn write_blob_tar(blob: Blob, digest: Digest, diff_id: &DiffId, out: &mut impl Write) -> Result<(), Error> {
    // It was unpacked once, within the limits of that time.
    let flow = Flow::new(&Limits {
        unpacked_bytes: u64::MAX,
        compression_ratio: u64::MAX,
        ..Limits::default()
    });
    let (actual, _) = decompress(Watched::reading(blob, &flow), &flow, &mut |piece| {
        out.write_all(&piece).map_err(Error::Output)?;
        Ok(true)
    })?;
    check(digest, diff_id, actual)
}

fn check(blob: Digest, expected: &DiffId, actual: DiffId) -> Result<(), Error> {
    if actual == *expected {
        return Ok(());
    }
    Err(Error::DiffIdMismatch {
        blob,
        expected: *expected,
        actual,
    })
}

/// Runs `produce`, which puts a tar into a pipe, and unpacks what comes out in another thread.
fn unpack_beside<T>(
    staging: &Staging,
    limits: &Limits,
    produce: impl FnOnce(PieceSender) -> Result<T, Error>,
) -> Result<(T, Unpacked), Error> {
    let tree = staging.open_tree()?;
    std::thread::scope(|scope| {
        let (sender, reader) = pipe();
        let unpacking = std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn_scoped(scope, move || unpack(reader, tree, Whiteouts::Overlay, limits))
            .map_err(Error::file("start a thread for", staging.tree()))?;
        let produced = produce(sender);
        let unpacked = unpacking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (produced, unpacked) {
            // Whatever ended the stream early; the unpacker saw only that it was cut.
            (Err(error), Err(Error::Tar(TarError::Truncated)) | Ok(_)) | (_, Err(error)) => Err(error),
            (Ok(produced), Ok(unpacked)) => Ok((produced, unpacked)),
        }
    })
}

/// Decompresses `input` to its end and hands the tar on in pieces, until `give` answers `false`,
/// which its reader then explains. Returns the tar's DiffID, and `input` read to its end.
fn decompress<R: Read>(
    input: Watched<R>,
    flow: &Flow,
    give: &mut dyn FnMut(Vec<u8>) -> Result<bool, Error>,
) -> Result<(DiffId, Watched<R>), Error> {
    let input = BufReader::with_capacity(PIECE_BYTES, input);
    let mut input = Decompressed::detect(input).map_err(|error| flow.explain(error))?;
    let format = input.format();
    let failed = |source| flow.explain(Error::Compression { format, source });
    let mut hasher = Hasher::new();
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let len = read_full(&mut input, &mut piece).map_err(failed)?;
        if len == 0 {
            break;
        }
        piece.truncate(len);
        flow.check_unpacked(len)?;
        hasher.update(&piece);
        if !give(piece)? {
            return Err(Error::Input(io::ErrorKind::BrokenPipe.into()));
        }
    }
    let mut input = input.into_inner();
    // What follows the end of the compressed stream still counts for the blob's digest.
    io::copy(&mut input, &mut io::sink()).map_err(failed)?;
    Ok((DiffId(hasher.finish()), input.into_inner()))
}

fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
