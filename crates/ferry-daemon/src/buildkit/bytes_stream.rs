//! A byte stream inside a gRPC call, as `Control.Session` carries one.

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_util::io::ReaderStream;
use tonic::{Status, Streaming};

/// Bytes on their way in each direction.
const BUFFER_BYTES: usize = 256 << 10;

/// The engine's end of the stream, and the messages to answer the call with.
pub(super) fn pipe(
    mut incoming: Streaming<BytesMessage>,
) -> (DuplexStream, impl Stream<Item = Result<BytesMessage, Status>> + Send) {
    let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
    let (from_us, mut to_us) = tokio::io::split(theirs);
    tokio::spawn(async move {
        while let Ok(Some(message)) = incoming.message().await {
            if to_us.write_all(&message.data).await.is_err() {
                break;
            }
        }
        let _ = to_us.shutdown().await;
    });
    let outgoing = ReaderStream::new(from_us).map(|piece| match piece {
        Ok(data) => Ok(BytesMessage { data: data.to_vec() }),
        Err(error) => Err(Status::unavailable(error.to_string())),
    });
    (ours, outgoing)
}
