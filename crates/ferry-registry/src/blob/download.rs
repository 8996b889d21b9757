//! Downloads one blob, from where the last attempt ended.

use bytes::{Buf, Bytes};
use ferry_oci::{Descriptor, Digest};
use http::header::{HeaderValue, RANGE};
use http::{Method, StatusCode};

use super::meter::Meter;
use super::pipe::{PipeWriter, ReaderGone};
use crate::retry::Backoff;
use crate::session::{Attempts, Session};
use crate::transport::{Answer, Call};
use crate::{Error, LayerProgress, TransportError};

/// An attempt that brought this much starts the count of attempts anew.
const PROGRESS_LEN_BYTES: u64 = 256 << 10;

/// How a download ended, if not by an error of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Downloaded {
    /// All bytes that the descriptor promises were handed over.
    Whole,
    /// Who reads the bytes has failed, and knows why.
    ReaderGone,
}

/// Streams a blob of `size` bytes into `sink`. The bytes are counted here and hashed by the reader.
///
/// A connection that breaks is replaced by one that asks for the rest; a registry that ignores
/// `Range` sends the beginning once more, which is skipped.
pub(crate) async fn download(
    session: &Session,
    digest: &Digest,
    size: u64,
    what: &str,
    meter: &mut Meter<'_>,
    sink: &PipeWriter,
) -> Result<Downloaded, Error> {
    let mut transfer = Transfer {
        session,
        digest,
        size,
        what,
        received: 0,
        ranges: Ranges::Ask,
    };
    let mut backoff = Backoff::new(session.shared.config.retry);
    meter.at(0);
    loop {
        let before = transfer.received;
        let error = match transfer.attempt(meter, sink).await {
            Ok(downloaded) => return Ok(downloaded),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Interrupted(error)) => error,
        };
        if transfer.received - before >= PROGRESS_LEN_BYTES {
            backoff.progressed();
        }
        let Some(pause) = backoff.pause(None) else {
            return Err(error);
        };
        tracing::debug!(%error, received = transfer.received, ?pause, "download interrupted");
        meter.state(LayerProgress::Retrying);
        tokio::time::sleep(pause).await;
    }
}

/// Fetches a small blob into memory and checks it against its descriptor.
pub(crate) async fn fetch_whole(
    session: &Session,
    descriptor: &Descriptor,
    digest: &Digest,
    limit: usize,
    what: &str,
) -> Result<Bytes, Error> {
    if descriptor.size() > limit as u64 {
        return Err(Error::TooLarge {
            what: what.to_owned(),
            limit: limit as u64,
        });
    }
    let call = Call::new(Method::GET, session.url(&format!("blobs/{digest}"))?);
    let fetched = session.fetch(&call, limit).await?;
    if !fetched.status.is_success() {
        return Err(session.refusal_of(fetched, what));
    }
    let bytes = fetched.bytes;
    if bytes.len() as u64 != descriptor.size() {
        return Err(Error::SizeMismatch {
            what: what.to_owned(),
            expected: descriptor.size(),
            actual: bytes.len() as u64,
        });
    }
    let actual = Digest::of(&bytes);
    if actual != *digest {
        return Err(Error::DigestMismatch {
            what: what.to_owned(),
            expected: *digest,
            actual,
        });
    }
    Ok(bytes)
}

/// One blob on its way.
struct Transfer<'a> {
    session: &'a Session,
    digest: &'a Digest,
    size: u64,
    what: &'a str,
    /// Bytes handed over so far.
    received: u64,
    ranges: Ranges,
}

/// Whether the registry takes `Range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranges {
    Ask,
    Refused,
}

enum Failure {
    /// Another attempt would end the same.
    Final(Error),
    /// The rest can be asked for.
    Interrupted(Error),
}

impl Transfer<'_> {
    async fn attempt(&mut self, meter: &mut Meter<'_>, sink: &PipeWriter) -> Result<Downloaded, Failure> {
        let mut answer = self.ask().await.map_err(Failure::Final)?;
        let mut skip = self.bytes_to_skip(&answer).map_err(Failure::Final)?;
        let failed = |answer: &Answer, cause| Error::Transport {
            request: answer.line.clone(),
            cause,
        };
        loop {
            let mut piece = match answer.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) if self.received == self.size => return Ok(Downloaded::Whole),
                Ok(None) => {
                    let cause = TransportError::Short {
                        received: self.received,
                        expected: self.size,
                    };
                    return Err(Failure::Interrupted(failed(&answer, cause)));
                }
                Err(cause) => return Err(Failure::Interrupted(failed(&answer, cause))),
            };
            let skipped = skip.min(piece.len() as u64);
            piece.advance(usize::try_from(skipped).unwrap_or(piece.len()));
            skip -= skipped;
            if self.received + piece.len() as u64 > self.size {
                return Err(Failure::Final(self.size_mismatch(self.received + piece.len() as u64)));
            }
            if piece.is_empty() {
                continue;
            }
            let length = piece.len() as u64;
            if sink.write(piece).await == Err(ReaderGone) {
                return Ok(Downloaded::ReaderGone);
            }
            self.received += length;
            meter.at(self.received);
            if self.received == self.size && answer.is_complete() {
                return Ok(Downloaded::Whole);
            }
        }
    }

    /// Asks for the blob, or for what is missing of it.
    async fn ask(&mut self) -> Result<Answer, Error> {
        let url = self.session.url(&format!("blobs/{}", self.digest))?;
        loop {
            let mut call = Call::new(Method::GET, url.clone());
            if self.received > 0 && self.ranges == Ranges::Ask {
                let range = HeaderValue::try_from(format!("bytes={}-", self.received));
                call = call.header(RANGE, range.unwrap_or(HeaderValue::from_static("bytes=0-")));
            }
            let answer = self.session.send(&call, Attempts::Several).await?;
            match answer.status {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(answer),
                StatusCode::RANGE_NOT_SATISFIABLE if self.received > 0 && self.ranges == Ranges::Ask => {
                    self.ranges = Ranges::Refused;
                }
                _ => return Err(self.session.refusal(answer, self.what).await),
            }
        }
    }

    /// How many bytes of the answer were received before.
    fn bytes_to_skip(&self, answer: &Answer) -> Result<u64, Error> {
        let start = if answer.status == StatusCode::PARTIAL_CONTENT {
            let start = answer.text("content-range").and_then(range_start);
            start.ok_or(Error::Protocol {
                request: answer.line.clone(),
                problem: "partial content without a readable Content-Range",
            })?
        } else {
            if let Some(length) = answer.content_length()
                && length != self.size
            {
                return Err(self.size_mismatch(length));
            }
            0
        };
        self.received.checked_sub(start).ok_or(Error::Protocol {
            request: answer.line.clone(),
            problem: "partial content that starts too late",
        })
    }

    fn size_mismatch(&self, actual: u64) -> Error {
        Error::SizeMismatch {
            what: self.what.to_owned(),
            expected: self.size,
            actual,
        }
    }
}

/// The first byte of `bytes 5-9/10`. Source: RFC 9110 section 14.4.
fn range_start(value: &str) -> Option<u64> {
    let (unit, range) = value.trim().split_once(char::is_whitespace)?;
    let (start, _) = range.trim().split_once('-')?;
    unit.eq_ignore_ascii_case("bytes").then_some(start)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        for (value, start) in [
            ("bytes 5-9/10", Some(5)),
            ("Bytes 0-9/*", Some(0)),
            ("bytes */10", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(range_start(value), start, "{value}");
        }
    }
}
