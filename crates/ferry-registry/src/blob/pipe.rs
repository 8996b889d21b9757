//! A pipe from an async download to a blocking reader, bounded in bytes.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::sync::{Semaphore, mpsc};

/// Makes a pipe that holds about `budget_bytes` at most; one piece may exceed it.
pub(crate) fn pipe(budget_bytes: u32) -> (PipeWriter, PipeReader) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let budget = Arc::new(Semaphore::new(budget_bytes as usize));
    let writer = PipeWriter {
        sender,
        budget: Arc::clone(&budget),
        budget_bytes,
    };
    let reader = PipeReader {
        receiver,
        budget,
        budget_bytes,
        piece: Bytes::new(),
        held: 0,
        has_ended: false,
    };
    (writer, reader)
}

/// The async end. Dropped without [`PipeWriter::finish`], it makes the reader fail.
pub(crate) struct PipeWriter {
    sender: mpsc::UnboundedSender<Piece>,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// The reader is gone: it has failed, and knows why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReaderGone;

impl PipeWriter {
    /// Hands `bytes` over; waits while the pipe is full.
    pub(crate) async fn write(&self, bytes: Bytes) -> Result<(), ReaderGone> {
        let cost = cost_of(&bytes, self.budget_bytes);
        let permits = self.budget.acquire_many(cost).await.map_err(|_| ReaderGone)?;
        permits.forget();
        self.sender.send(Piece::Bytes(bytes)).map_err(|_| ReaderGone)
    }

    /// All bytes were written.
    pub(crate) fn finish(self) {
        // A reader that is gone has its own error.
        let _ = self.sender.send(Piece::End);
    }
}

/// The blocking end, for a thread of its own.
pub(crate) struct PipeReader {
    receiver: mpsc::UnboundedReceiver<Piece>,
    budget: Arc<Semaphore>,
    budget_bytes: u32,
    piece: Bytes,
    /// Budget that `piece` takes up.
    held: u32,
    has_ended: bool,
}

impl io::Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.has_ended {
            self.budget.add_permits(self.held as usize);
            self.held = 0;
            match self.receiver.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.held = cost_of(&bytes, self.budget_bytes);
                    self.piece = bytes;
                }
                Some(Piece::End) => self.has_ended = true,
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionAborted,
                        "the download was stopped",
                    ));
                }
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.budget.close();
    }
}

/// What a piece takes from the budget: never more than all of it, or it would wait forever.
fn cost_of(bytes: &Bytes, budget_bytes: u32) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(budget_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn bytes_arrive_in_order_and_end() {
        let (writer, mut reader) = pipe(10);
        let reading = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        for piece in ["one ", "a piece beyond the budget ", "", "end"] {
            writer.write(Bytes::from(piece)).await.unwrap();
        }
        writer.finish();
        assert_eq!(reading.await.unwrap().unwrap(), "one a piece beyond the budget end");
    }

    #[tokio::test]
    async fn a_writer_that_vanishes_is_an_error_not_an_end() {
        let (writer, mut reader) = pipe(10);
        writer.write(Bytes::from("half")).await.unwrap();
        drop(writer);
        let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
        assert_eq!(
            read.await.unwrap().unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[tokio::test]
    async fn a_reader_that_vanishes_wakes_the_writer() {
        let (writer, reader) = pipe(4);
        writer.write(Bytes::from("full")).await.unwrap();
        let waiting = tokio::spawn(async move { writer.write(Bytes::from("more")).await });
        tokio::task::yield_now().await;
        drop(reader);
        assert_eq!(waiting.await.unwrap(), Err(ReaderGone));
    }
}
