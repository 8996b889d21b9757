//! gRPC on connections that were upgraded from HTTP/1.1: called through one, served on another.

use std::io;
use std::sync::Mutex;

use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};

use crate::engine::Engine;
use crate::failure::{Explain, Failure};

/// Largest message either way (bytes), as in BuildKit.
pub(super) const LARGEST_MESSAGE: usize = 16 << 20;
/// What may be on its way on one stream before the other side takes it (bytes).
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for the connection (bytes).
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Most headers of a call (bytes): ignore patterns travel as metadata.
const MOST_HEADERS: u32 = 1 << 20;

/// Opens `POST /grpc` for calls to the engine's BuildKit.
pub(super) async fn open(engine: &Engine) -> Result<Channel, Failure> {
    let (_, stream) = engine.post("/grpc").upgrade("h2c").await.map_err(|error| {
        let missing = matches!(error.status().map(|status| status.as_u16()), Some(404 | 405 | 501));
        let failure = Failure::from(error);
        if missing {
            Failure::new("this engine does not build by BuildKit's protocol").hint("build with Ferry's own engine")
        } else {
            failure
        }
    })?;
    let stream = Mutex::new(Some(stream.into_inner()));
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = stream.lock().ok().and_then(|mut stream| stream.take());
        // There is one connection: when it is gone, so is the build.
        std::future::ready(
            stream
                .map(TokioIo::new)
                .map(TokioIo::new)
                .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted)),
        )
    });
    Endpoint::from_static("http://buildkit")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect_with_connector(connector)
        .await
        .explain(|| "cannot talk to the engine's builder")
}

/// Serves `routes` on a connection that the engine calls us on, until it closes.
pub(super) async fn serve(stream: Upgraded, routes: Routes) -> Result<(), hyper::Error> {
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MOST_HEADERS)
        .serve_connection(stream, TowerToHyperService::new(routes.prepare()))
        .await
}
