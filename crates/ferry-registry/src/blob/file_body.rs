//! A part of a file as the body of a request, read by a blocking thread, counted as it leaves.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::transport::Outgoing;

/// Read at once.
const PIECE_LEN_BYTES: usize = 256 << 10;
/// Pieces that are read ahead.
const PIECES_AHEAD: usize = 2;

/// Which bytes of a blob to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Opens the blob for one attempt.
pub(super) type OpenFile = Arc<dyn Fn() -> io::Result<File> + Send + Sync>;

/// The body of `section`. `sent` counts the bytes that were handed to the connection, from the
/// section's start.
pub(super) fn file_body(open: OpenFile, section: Section, sent: Arc<AtomicU64>) -> Outgoing {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_into(&open, section, &sender) {
            // A receiver that is gone has ended the request itself.
            let _ = sender.blocking_send(Err(error));
        }
    });
    FileBody {
        receiver,
        left: section.length,
        sent,
    }
    .boxed_unsync()
}

fn read_into(open: &OpenFile, section: Section, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut file = open()?;
    file.seek(SeekFrom::Start(section.start))?;
    let mut left = section.length;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(PIECE_LEN_BYTES).min(PIECE_LEN_BYTES);
        let mut piece = BytesMut::zeroed(length);
        file.read_exact(&mut piece)?;
        left -= length as u64;
        if sender.blocking_send(Ok(piece.freeze())).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

struct FileBody {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    sent: Arc<AtomicU64>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.receiver.poll_recv(cx).map(|received| {
            Some(received?.map(|piece| {
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Frame::data(piece)
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
