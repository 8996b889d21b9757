//! The one router: every endpoint is a row of its noun's file; `/v1.xx` before a path is stripped.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::SERVER;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use ferry_engine::Engine;
use tower::ServiceExt;

use crate::buildkit::BuildKit;
use crate::error::ApiError;
use crate::routes;

/// The newest version of the Docker Engine API that is served.
pub const API_VERSION: &str = "1.55";
/// The oldest.
pub const MIN_API_VERSION: &str = "1.24";

const API_VERSION_HEADER: HeaderName = HeaderName::from_static("api-version");
const OS_TYPE_HEADER: HeaderName = HeaderName::from_static("ostype");

/// What serves a connection's requests.
pub(crate) type Service = tower::util::BoxCloneSyncService<hyper::Request<hyper::body::Incoming>, Response, Infallible>;

/// The API of `engine`.
pub(crate) fn service(engine: Engine) -> Service {
    let router: Router = Router::new()
        .merge(routes::container::rows())
        .merge(routes::copy::rows())
        .merge(routes::exec::rows())
        .merge(routes::image::rows())
        .merge(routes::build::rows(&BuildKit::new(engine.clone())))
        .merge(routes::network::rows())
        .merge(routes::volume::rows())
        .merge(routes::system::rows())
        .fallback(unknown)
        .with_state(engine);
    let service = tower::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let mut request: Request = request.map(Body::new);
            let response = match strip_version(request.uri()) {
                Ok(None) => router.oneshot(request).await?,
                Ok(Some(uri)) => {
                    *request.uri_mut() = uri;
                    router.oneshot(request).await?
                }
                Err(error) => error.into_response(),
            };
            Ok(with_common_headers(response))
        }
    });
    Service::new(service)
}

async fn unknown(request: Request) -> ApiError {
    let message = format!("page not found: {} {}", request.method(), request.uri().path());
    ApiError::new(axum::http::StatusCode::NOT_FOUND, message)
}

fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(API_VERSION_HEADER, HeaderValue::from_static(API_VERSION));
    headers.insert(OS_TYPE_HEADER, HeaderValue::from_static("linux"));
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("Ferry/", env!("CARGO_PKG_VERSION"), " (linux)")),
    );
    response
}

/// The same URI without its version; `None` when it has none.
fn strip_version(uri: &Uri) -> Result<Option<Uri>, ApiError> {
    let Some(path_and_query) = uri.path_and_query() else {
        return Ok(None);
    };
    let Some(rest) = path_and_query.as_str().strip_prefix("/v") else {
        return Ok(None);
    };
    let (version, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let Some(wanted) = parse_version(version) else {
        return Ok(None);
    };
    let bound = |text| parse_version(text).expect("Ferry's own versions are well-formed");
    if wanted < bound(MIN_API_VERSION) {
        return Err(ApiError::bad_request(format!(
            "client version {version} is too old. Minimum supported API version is {MIN_API_VERSION}, please upgrade your client to a newer version"
        )));
    }
    if wanted > bound(API_VERSION) {
        return Err(ApiError::bad_request(format!(
            "client version {version} is too new. Maximum supported API version is {API_VERSION}"
        )));
    }
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    rest.parse()
        .map(Some)
        .map_err(|_| ApiError::bad_request("malformed path"))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_stripped_and_bounded() {
        let strip = |text: &str| strip_version(&text.parse().unwrap()).map(|uri| uri.map(|uri| uri.to_string()));
        assert_eq!(strip("/_ping").unwrap(), None);
        assert_eq!(strip("/version").unwrap(), None);
        assert_eq!(strip("/v1.47/info").unwrap().as_deref(), Some("/info"));
        assert_eq!(
            strip("/v1.47/containers/json?all=1").unwrap().as_deref(),
            Some("/containers/json?all=1")
        );
        assert_eq!(strip("/volumes").unwrap(), None);
        assert!(strip("/v1.12/info").is_err());
        assert!(strip("/v9.0/info").is_err());
    }
}
