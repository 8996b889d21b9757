//! Bodies that are sent: their kinds, and the watch over those that stop moving.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{Timeouts, TransportError};

/// The body of any request.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, io::Error>;

/// A body without bytes.
pub(super) fn empty() -> Outgoing {
    http_body_util::Empty::new().map_err(unreachable_error).boxed_unsync()
}

/// A body that is in memory.
pub(super) fn full(bytes: Bytes) -> Outgoing {
    http_body_util::Full::new(bytes)
        .map_err(unreachable_error)
        .boxed_unsync()
}

fn unreachable_error(never: Infallible) -> io::Error {
    match never {}
}

/// When the body of a request last moved, shared between the body and who waits for the answer.
pub(super) struct Activity(Arc<Mutex<(Phase, Instant)>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for a connection, or all sent: the registry's turn.
    Waiting,
    /// Between the first and the last piece of the body.
    Sending,
}

impl Activity {
    /// Completes when nothing has moved for too long.
    pub(super) async fn silence(&self, timeouts: &Timeouts) -> TransportError {
        loop {
            let (phase, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = match phase {
                Phase::Waiting => timeouts.first_byte,
                Phase::Sending => timeouts.stall,
            };
            if since.elapsed() >= limit {
                return match phase {
                    Phase::Waiting => TransportError::FirstByteTimeout(limit),
                    Phase::Sending => TransportError::Stalled(limit),
                };
            }
            tokio::time::sleep_until(since + limit).await;
        }
    }
}

/// Wraps a body so that its progress is seen.
pub(super) fn watched(body: Outgoing) -> (Outgoing, Activity) {
    let state = Arc::new(Mutex::new((Phase::Waiting, Instant::now())));
    let watched = Watched {
        body,
        state: Arc::clone(&state),
    };
    (watched.boxed_unsync(), Activity(state))
}

struct Watched {
    body: Outgoing,
    state: Arc<Mutex<(Phase, Instant)>>,
}

impl Watched {
    fn moved(&self, phase: Phase) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.moved(Phase::Waiting),
            Poll::Ready(Some(_)) => self.moved(Phase::Sending),
            Poll::Ready(None) => self.moved(Phase::Waiting),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
