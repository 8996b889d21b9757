//! Receives a stream of the client: the engine's side of `moby.upload.v1.Upload/Pull`, for a context on stdin.

use std::io::{self, BufReader};
use std::sync::Arc;

use bollard_buildkit_proto::moby::upload::v1::upload_client::UploadClient;
use ferry_engine::build::context::{ContextError, Contexts, Tree};
use futures_util::StreamExt;
use tonic::{Request, Status};

use super::{Session, SessionError, metadata};
use crate::blocking_body::BodyReader;
use crate::buildkit::transport::MAX_MESSAGE_BYTES;

const METHOD: &str = "/moby.upload.v1.Upload/Pull";
/// Where clients say that a stream is theirs; the rest of the URL names it.
const URL_PREFIX: &str = "http://buildkit-session";

/// Why a stream could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// The session offers no streams.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The call failed, on the client's side or on the way.
    #[error("cannot receive the build context: {}", .0.message())]
    Call(Box<Status>),
    /// The stream is no usable archive.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The thread that writes files ended without a word.
    #[error("the reception of a build context was interrupted")]
    Interrupted,
}

/// The path that names a stream of the client, if `url` is one.
pub(crate) fn path_of(url: &str) -> Option<&str> {
    url.strip_prefix(URL_PREFIX).filter(|path| path.starts_with('/'))
}

/// Receives the archive that the client keeps under `path`.
pub(crate) async fn receive_archive(
    session: &Session,
    path: &str,
    contexts: &Contexts,
) -> Result<Arc<Tree>, UploadError> {
    let mut client = UploadClient::new(session.channel_for(METHOD)?).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut call = Request::new(tokio_stream::empty());
    metadata::append(call.metadata_mut(), "urlpath", &[path.to_owned()]);
    let pieces = client
        .pull(call)
        .await
        .map_err(|status| UploadError::Call(Box::new(status)))?
        .into_inner()
        .map(|piece| piece.map(|message| message.data.into()).map_err(io::Error::other));
    let reader = BodyReader::from_pieces(pieces);
    let contexts = contexts.clone();
    let received = tokio::task::spawn_blocking(move || contexts.receive_archive(BufReader::new(reader))).await;
    Ok(received.map_err(|_panic| UploadError::Interrupted)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_client_s_own_streams_are_paths() {
        assert_eq!(path_of("http://buildkit-session/abc"), Some("/abc"));
        assert_eq!(path_of("http://buildkit-session"), None);
        assert_eq!(path_of("http://buildkit-session.example/abc"), None);
        assert_eq!(path_of("https://example.com/x.tar"), None);
    }
}
