//! Turns a request's connection into a raw stream, as attach, exec and BuildKit want it.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use axum::http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::ApiError;

/// A connection that speaks something other than HTTP from now on.
pub(crate) type Hijacked = TokioIo<Upgraded>;

/// The media type of a hijacked stream. Source: Docker Engine API `ContainerAttach`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamFormat {
    /// A terminal's bytes.
    Raw,
    /// Frames of stdout and stderr.
    Multiplexed,
}

impl StreamFormat {
    /// The media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Raw => "application/vnd.docker.raw-stream",
            Self::Multiplexed => "application/vnd.docker.multiplexed-stream",
        }
    }
}

/// Answers `101 Switching Protocols` and gives the connection to `serve` once the client has it.
pub(crate) fn hijack<F, S>(
    mut request: Request,
    content_type: Option<&'static str>,
    serve: S,
) -> Result<Response<Body>, ApiError>
where
    S: FnOnce(Hijacked) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else {
        return Err(ApiError::bad_request(
            "this endpoint needs a connection that can be upgraded: send the headers Connection: Upgrade and Upgrade: tcp",
        ));
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => serve(TokioIo::new(connection)).await,
            Err(error) => tracing::debug!(%error, "a client left before its connection was upgraded"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    Ok(response)
}

/// Carries bytes both ways until the process's side ends; a client that ends its input ends the
/// process's input only.
pub(crate) async fn relay(client: Hijacked, process: UnixStream) {
    let (mut client_out, mut client_in) = tokio::io::split(client);
    let (mut process_out, mut process_in) = process.into_split();
    let input = async move {
        let copied = copy(&mut client_out, &mut process_in).await;
        let _ = process_in.shutdown().await;
        if copied.is_err() {
            return;
        }
        // The output decides when the relay ends.
        std::future::pending::<()>().await;
    };
    let output = async {
        let _ = copy(&mut process_out, &mut client_in).await;
        let _ = client_in.shutdown().await;
    };
    tokio::select! {
        () = input => {}
        () = output => {}
    }
}

const BUFFER_LEN: usize = 32 << 10;

async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let len = from.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..len]).await?;
        to.flush().await?;
    }
}
