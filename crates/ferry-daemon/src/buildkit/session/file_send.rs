//! Sends one file to the client: the engine's side of `moby.filesync.v1.FileSend/DiffCopy`, for archives.

use std::io::{self, Write};

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{Session, SessionError};
use crate::buildkit::transport::MAX_MESSAGE_BYTES;

/// The method; a client that offers it takes files.
pub(crate) const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";

/// Pieces between the thread that writes and the connection.
const PIECES_QUEUED: usize = 8;
/// What is gathered into one message, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Why a file could not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError<E> {
    /// The session takes no files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client refused, or has gone.
    #[error("the client does not take the result: {}", .0.message())]
    Call(Box<Status>),
    /// The file could not be made.
    #[error(transparent)]
    Source(E),
    /// The thread that makes the file ended without a word.
    #[error("sending the result was interrupted")]
    Interrupted,
}

/// Sends what `make` writes. It runs on a thread that may block, and is told of a client that has gone by
/// an error when it writes.
pub(crate) async fn send<E, M>(session: &Session, make: M) -> Result<(), SendError<E>>
where
    E: Send + 'static,
    M: FnOnce(&mut dyn Write) -> Result<(), E> + Send + 'static,
{
    let mut client = FileSendClient::new(session.channel_for(METHOD)?).max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (sender, pieces) = mpsc::channel(PIECES_QUEUED);
    let making = tokio::task::spawn_blocking(move || {
        let mut out = Pieces {
            sender,
            gathered: Vec::new(),
        };
        make(&mut out)?;
        // A client that has gone shows as the call's own failure.
        let _ = out.flush();
        Ok(())
    });
    let call = async {
        let answer = client.diff_copy(Request::new(ReceiverStream::new(pieces))).await?;
        let mut answer = answer.into_inner();
        // The client says nothing; it closes when the file is whole.
        while answer.message().await?.is_some() {}
        Ok::<(), Status>(())
    };
    let (called, made) = tokio::join!(call, making);
    match made {
        // A client that has gone broke the making, too: the client is the reason.
        Ok(Err(error)) if called.is_ok() => Err(SendError::Source(error)),
        Err(_panic) => Err(SendError::Interrupted),
        Ok(_) => called.map_err(|status| SendError::Call(Box::new(status))),
    }
}

/// Gathers what is written into messages.
struct Pieces {
    sender: mpsc::Sender<BytesMessage>,
    gathered: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Never more than a message holds: clients accept 4 MiB, gRPC's default.
        let len = bytes.len().min(PIECE_BYTES - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..len]);
        if self.gathered.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.gathered);
        self.sender
            .blocking_send(BytesMessage { data })
            .map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}
