//! HTTP/2 over one connection that was handed to us: gRPC served on it, or gRPC called through it.
//!
//! Docker clients open `POST /grpc` and `POST /session` with `Upgrade: h2c`. After the answer `101` the
//! bytes are raw HTTP/2: on `/grpc` the client calls us, on `/session` we call the client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;

/// Largest gRPC message that is sent or accepted, as in BuildKit.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// What one connection may have under way at once.
const MAX_CONCURRENT_STREAMS: u32 = 256;
/// Largest set of headers, in bytes; FileSync sends ignore patterns as metadata.
const MAX_HEADER_BYTES: u32 = 1 << 20;
/// Flow-control window of one stream; a session on a unix socket moves whole build contexts.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// Flow-control window of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Serves `services` on `io` until the peer closes it or breaks the protocol.
///
/// Dropping the future closes the connection and with it every call under way.
pub(crate) async fn serve<I>(io: I, services: axum::Router) -> Result<(), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(services))
        .await
}

/// Begins HTTP/2 as the client on `io`.
///
/// Returns the channel for calls, and the connection: a future that must be polled for calls to move,
/// and that ends when the peer closes. Waits for nothing: the peer's preface is read as the connection is polled.
pub(crate) async fn connect<I>(
    io: I,
) -> Result<(Channel, impl Future<Output = Result<(), hyper::Error>> + Send + 'static), hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(TokioIo::new(io))
        .await?;
    Ok((Channel { sender }, connection))
}

/// Calls gRPC methods through one connection; cheap to clone, and each clone calls on its own.
///
/// Unlike tonic's own channel it never connects again: when the connection is gone, calls fail at once.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    sender: SendRequest<Body>,
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        *request.uri_mut() = absolute(std::mem::take(request.uri_mut()));
        Box::pin(self.sender.send_request(request))
    }
}

/// HTTP/2 needs a scheme and an authority; on a connection that was handed to us any will do.
fn absolute(uri: Uri) -> Uri {
    let mut parts = uri.into_parts();
    parts.scheme.get_or_insert(Scheme::HTTP);
    parts.authority.get_or_insert(Authority::from_static("localhost"));
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    // All three parts are there, so that putting them together cannot fail.
    Uri::from_parts(parts).unwrap_or_default()
}
