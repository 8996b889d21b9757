//! Layers come as gzip (of any number of members), zstd (of a bounded window) or plain tar.

use std::io::{self, BufRead, Chain, Cursor, Read};

use ferry_oci::Compression;
use flate2::bufread::MultiGzDecoder;

use super::limits::Limits;
use crate::Error;

/// Start of a gzip member. Source: RFC 1952, 2.3.1.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// Start of a zstd frame. Source: RFC 8878, 3.1.1.
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A decompressing reader.
pub struct Decompressed<R: BufRead> {
    decoder: Decoder<R>,
    compression: Compression,
}

/// The first bytes, which were looked at, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

enum Decoder<R: BufRead> {
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    Zstd(Box<zstd::Decoder<'static, Whole<R>>>),
}

impl<R: BufRead> Decompressed<R> {
    /// Looks at the first bytes of `input` and decompresses as they say.
    ///
    /// The bytes decide, not a media type: tools have labelled layers wrongly for years, and the
    /// DiffID tells in the end whether the right thing came out.
    pub fn detect(mut input: R) -> Result<Self, Error> {
        let start = first_bytes(&mut input).map_err(Error::Input)?;
        let compression = if start.starts_with(GZIP_MAGIC) {
            Compression::Gzip
        } else if start.starts_with(ZSTD_MAGIC) || is_skippable_frame(&start) {
            Compression::Zstd
        } else {
            Compression::None
        };
        let input = Cursor::new(start).chain(input);
        let decoder = match compression {
            Compression::None => Decoder::Plain(input),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd_decoder(input)?)),
        };
        Ok(Self { decoder, compression })
    }

    /// What the stream is compressed with.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The name of the format, for messages.
    pub(super) fn format(&self) -> &'static str {
        match self.compression {
            Compression::None => "tar",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// The compressed stream, to read what follows its end.
    pub(super) fn into_inner(self) -> R {
        let whole = match self.decoder {
            Decoder::Plain(input) => input,
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        whole.into_inner().1
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Plain(input) => input.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// As many bytes as the formats' marks have; a stream may give them one by one.
fn first_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(ZSTD_MAGIC.len());
    input.take(ZSTD_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn zstd_decoder<R: BufRead>(input: R) -> Result<zstd::Decoder<'static, R>, Error> {
    let failed = |source| Error::Compression { format: "zstd", source };
    let mut decoder = zstd::Decoder::with_buffer(input).map_err(failed)?;
    decoder.window_log_max(Limits::ZSTD_WINDOW_LOG).map_err(failed)?;
    Ok(decoder)
}

/// Frames that carry no data, such as those of zstd:chunked and of seekable zstd.
/// Source: RFC 8878, 3.1.2.
fn is_skippable_frame(start: &[u8]) -> bool {
    start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18]
}
