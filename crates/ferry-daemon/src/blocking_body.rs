//! A request's body as a reader, and a writer as an answer's body, for work that blocks.

use std::io::{self, Read, Write};

use axum::body::Body;
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces between the connection and the thread that works.
const PIECES_QUEUED: usize = 16;
/// What a writer gathers before it sends, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// Reads a request's body. For a thread that may block.
#[derive(Debug)]
pub struct BodyReader {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

/// Writes an answer's body. For a thread that may block. Dropped without [`BodyWriter::fail`], the body is complete.
#[derive(Debug)]
pub struct BodyWriter {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    gathered: Vec<u8>,
}

impl BodyReader {
    /// A reader of `body`. The body is not read when the reader is gone.
    pub fn new(body: Body) -> Self {
        let pieces = body.into_data_stream();
        Self::from_pieces(
            pieces.map(|piece| piece.map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))),
        )
    }

    /// A reader of what `stream` yields, which is not polled when the reader is gone.
    pub fn from_pieces(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_QUEUED);
        tokio::spawn(async move {
            let mut stream = std::pin::pin!(stream);
            while let Some(piece) = stream.next().await {
                if sender.send(piece).await.is_err() {
                    return;
                }
            }
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let len = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }
}

impl BodyWriter {
    /// A writer, and the body that it writes.
    pub fn new() -> (Self, Body) {
        let (pieces, receiver) = mpsc::channel(PIECES_QUEUED);
        let writer = Self {
            pieces,
            gathered: Vec::with_capacity(PIECE_BYTES),
        };
        (writer, Body::from_stream(ReceiverStream::new(receiver)))
    }

    /// Whether nobody reads the body any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Breaks the body off, so that the client sees that it is not complete.
    pub fn fail(&mut self, error: &dyn std::fmt::Display) {
        self.gathered.clear();
        let _ = self.pieces.blocking_send(Err(io::Error::other(error.to_string())));
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES));
        self.pieces
            .blocking_send(Ok(piece.into()))
            .map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_survive_both_ways() {
        let (mut writer, body) = BodyWriter::new();
        let mut reader = BodyReader::new(body);
        let content: Vec<u8> = (0..700_000_u32).map(|number| number as u8).collect();
        let expect = content.clone();
        let writing = tokio::task::spawn_blocking(move || {
            for piece in content.chunks(1000) {
                writer.write_all(piece)?;
            }
            writer.flush()
        });
        let reading = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        writing.await.expect("no panic").expect("written");
        assert_eq!(reading.await.expect("no panic").expect("read"), expect);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let (mut writer, body) = BodyWriter::new();
        let mut reader = BodyReader::new(body);
        let writing = tokio::task::spawn_blocking(move || {
            writer.write_all(b"half")?;
            writer.flush()?;
            writer.fail(&"disk on fire");
            io::Result::Ok(())
        });
        let reading = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
        writing.await.expect("no panic").expect("written");
        assert!(reading.await.expect("no panic").is_err());
    }
}
