//! OpenTelemetry's trace collector, which clients report to unasked: taken, answered, and dropped.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};

/// Largest report that is read before it is answered, in bytes.
const MAX_REPORT_BYTES: usize = 16 << 20;
/// One gRPC message without content: not compressed, no bytes.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The collector's route.
pub(super) fn routes() -> Router {
    Router::new().route(
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        post(export),
    )
}

async fn export(request: Request) -> Response {
    let mut report = request.into_body().into_data_stream();
    let mut read_bytes = 0;
    while let Some(Ok(piece)) = report.next().await {
        read_bytes += piece.len();
        if read_bytes > MAX_REPORT_BYTES {
            break;
        }
    }
    let body = Full::new(Bytes::from_static(EMPTY_MESSAGE)).with_trailers(async {
        let mut trailers = HeaderMap::new();
        trailers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
        Some(Ok(trailers))
    });
    let mut response = Response::new(Body::new(body));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
