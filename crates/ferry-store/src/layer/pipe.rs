//! A bounded pipe between two threads, in pieces large enough that handing them over costs nothing.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes of a piece.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// Pieces under way: with those at both ends, 1.5 MiB a pipe.
const PIECES: usize = 4;

/// The end that pieces are put into.
pub(super) struct PieceSender(SyncSender<Vec<u8>>);

/// The end that they are read from.
pub(super) struct PieceReader {
    pieces: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
}

/// A new pipe. When the sender is dropped the reader is at its end; when the reader is dropped,
/// sending says so.
pub(super) fn pipe() -> (PieceSender, PieceReader) {
    let (sender, pieces) = sync_channel(PIECES);
    let reader = PieceReader {
        pieces,
        piece: Vec::new(),
        used: 0,
    };
    (PieceSender(sender), reader)
}

impl PieceSender {
    /// Hands `piece`, which is not empty, over, waiting for room; `false` if nobody reads any more.
    pub(super) fn send(&self, piece: Vec<u8>) -> bool {
        self.0.send(piece).is_ok()
    }
}

impl BufRead for PieceReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() {
            self.piece = self.pieces.recv().unwrap_or_default();
            self.used = 0;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, len: usize) {
        self.used += len;
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let len = piece.len().min(buffer.len());
        buffer[..len].copy_from_slice(&piece[..len]);
        self.consume(len);
        Ok(len)
    }
}
