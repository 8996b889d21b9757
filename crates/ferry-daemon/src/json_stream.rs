//! Answers that come bit by bit: one JSON message a line, until the operation ends.
//!
//! The status is 200 from the first message on; an error after that is a last message with `error` and
//! `errorDetail`, as Docker's clients expect.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Messages that wait for a slow client. Further ones that a later one makes obsolete are dropped.
const MESSAGES_QUEUED: usize = 256;

/// The sending end of such an answer; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    sender: mpsc::Sender<Bytes>,
}

/// A new answer and its sending end. The answer ends when the last clone of the end is dropped.
pub(crate) fn open() -> (Messages, Response) {
    let (sender, receiver) = mpsc::channel(MESSAGES_QUEUED);
    let lines = ReceiverStream::new(receiver).map(Ok::<Bytes, Infallible>);
    let mut response = Response::new(Body::from_stream(lines));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    (Messages { sender }, response)
}

impl Messages {
    /// Sends a message, waiting while the client is behind. Nobody listening is no error.
    pub(crate) async fn send(&self, message: &impl Serialize) {
        if let Some(line) = line(message) {
            let _ = self.sender.send(line).await;
        }
    }

    /// Sends a message unless the client is behind: for states that will be followed by others.
    pub(crate) fn offer(&self, message: &impl Serialize) {
        if let Some(line) = line(message) {
            let _ = self.sender.try_send(line);
        }
    }

    /// Sends the message that ends an operation which failed.
    pub(crate) async fn fail(&self, message: &str) {
        let error = serde_json::json!({
            "errorDetail": { "message": message },
            "error": message,
        });
        self.send(&error).await;
    }

    /// Waits until the client has gone.
    pub(crate) async fn abandoned(&self) {
        self.sender.closed().await;
    }
}

fn line(message: &impl Serialize) -> Option<Bytes> {
    let mut line = serde_json::to_vec(message).ok()?;
    line.extend_from_slice(b"\r\n");
    Some(line.into())
}
