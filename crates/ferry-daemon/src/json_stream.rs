//! Answers that come bit by bit: one JSON message a line, until the operation ends.
//!
//! An operation that fails before its first message is an answer with an error's status. After it the
//! status is 200, and the error is a last message with `error` and `errorDetail`, as Docker's clients expect.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::ApiError;

/// Messages that wait for a slow client.
const MESSAGES_QUEUED: usize = 1024;

/// The sending end of such an answer; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Messages {
    sender: mpsc::Sender<Item>,
}

/// What goes from the operation to the answer.
#[derive(Debug)]
enum Item {
    Line(Bytes),
    /// The operation failed; always the last one.
    Failure(ApiError),
}

/// Answers with the messages of `work`. A client that goes away ends the work: its future is dropped.
pub(crate) async fn answer<W, F>(work: W) -> Result<Response, ApiError>
where
    W: FnOnce(Messages) -> F,
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(MESSAGES_QUEUED);
    let work = work(Messages { sender: sender.clone() });
    tokio::spawn(async move {
        tokio::select! {
            done = work => if let Err(error) = done {
                let _ = sender.send(Item::Failure(error)).await;
            },
            () = sender.closed() => {}
        }
    });
    let first = match receiver.recv().await {
        Some(Item::Failure(error)) => return Err(error),
        first => first,
    };
    let lines = tokio_stream::iter(first)
        .chain(ReceiverStream::new(receiver))
        .map(|item| Ok::<Bytes, Infallible>(item.into_line()));
    let mut response = Response::new(Body::from_stream(lines));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Messages {
    /// Sends a message, waiting while the client is behind. Nobody listening is no error.
    pub(crate) async fn send(&self, message: &impl Serialize) {
        let _ = self.sender.send(Item::Line(line(message))).await;
    }

    /// Sends a message without waiting; it is lost when the client is far behind.
    pub(crate) fn offer(&self, message: &impl Serialize) {
        let _ = self.sender.try_send(Item::Line(line(message)));
    }
}

impl Item {
    fn into_line(self) -> Bytes {
        match self {
            Self::Line(line) => line,
            Self::Failure(error) => line(&serde_json::json!({
                "errorDetail": { "message": error.message() },
                "error": error.message(),
            })),
        }
    }
}

fn line(message: &impl Serialize) -> Bytes {
    // What is sent has string keys alone, so that writing it cannot fail.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    line.into()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(response: Response) -> String {
        let body = response.into_body().collect().await.expect("body").to_bytes();
        String::from_utf8_lossy(&body).into_owned()
    }

    #[tokio::test]
    async fn an_early_failure_is_a_status_and_a_late_one_a_message() {
        let early = answer(|_messages| async { Err(ApiError::bad_request("early")) }).await;
        assert_eq!(
            early.err().map(|error| error.message().to_owned()).as_deref(),
            Some("early")
        );

        let late = answer(|messages| async move {
            messages.send(&serde_json::json!({"status": "a"})).await;
            Err(ApiError::bad_request("late"))
        });
        let text = body(late.await.expect("an answer")).await;
        assert_eq!(
            text,
            "{\"status\":\"a\"}\r\n{\"error\":\"late\",\"errorDetail\":{\"message\":\"late\"}}\r\n"
        );

        let quiet = answer(|_messages| async { Ok(()) }).await.expect("an answer");
        assert_eq!(body(quiet).await, "");
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_work() {
        let (sender, dropped) = tokio::sync::oneshot::channel::<()>();
        let response = answer(|messages| async move {
            let _held = sender;
            messages.send(&"begun").await;
            std::future::pending().await
        });
        drop(response.await.expect("an answer"));
        assert!(dropped.await.is_err(), "the work's future is dropped");
    }
}
