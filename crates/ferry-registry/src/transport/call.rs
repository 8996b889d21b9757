//! A request that can be sent again, and its answer, read within bounds of size and time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use url::Url;

use super::body::{Outgoing, empty, full};
use crate::error::RequestLine;
use crate::{Error, TransportError};

/// A request, before it is sent; it can be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

/// What a request carries.
#[derive(Clone)]
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    /// Makes the same body anew for each attempt.
    Stream(Arc<dyn Fn() -> Outgoing + Send + Sync>),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl Payload {
    pub(super) fn body(&self) -> Outgoing {
        match self {
            Self::Empty => empty(),
            Self::Bytes(bytes) => full(bytes.clone()),
            Self::Stream(make) => make(),
        }
    }
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
        }
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Names the request in errors and logs.
    pub(crate) fn line(&self) -> RequestLine {
        RequestLine {
            method: self.method.clone(),
            url: without_secrets(&self.url),
        }
    }
}

/// The URL without query (redirects are often pre-signed), user info and fragment.
pub(crate) fn without_secrets(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Status and headers of an answer, with its body still to come.
pub(crate) struct Answer {
    pub(crate) line: RequestLine,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Whether it came from another host than the registry, after a redirect.
    pub(crate) is_foreign: bool,
    body: Incoming,
    stall: Duration,
}

impl Answer {
    pub(super) fn new(line: RequestLine, response: http::Response<Incoming>, stall: Duration) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            line,
            status: parts.status,
            headers: parts.headers,
            is_foreign: false,
            body,
            stall,
        }
    }

    /// A header as text; `None` when absent or not ASCII.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length`, where the registry says it.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.text("content-length")?.parse().ok()
    }

    /// Whether nothing of the body is left, as far as is known without waiting.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let frame = tokio::time::timeout(self.stall, self.body.frame())
                .await
                .map_err(|_| TransportError::Stalled(self.stall))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(TransportError::Broken(body_error(&error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, at most `limit` bytes.
    pub(crate) async fn bytes(mut self, limit: usize) -> Result<Bytes, Error> {
        let too_large = |line: &RequestLine| Error::TooLarge {
            what: line.to_string(),
            limit: limit as u64,
        };
        if self.body.size_hint().lower() > limit as u64 {
            return Err(too_large(&self.line));
        }
        let mut bytes = BytesMut::new();
        loop {
            match self.chunk().await {
                Ok(None) => return Ok(bytes.freeze()),
                Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => {
                    return Err(too_large(&self.line));
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Err(cause) => {
                    return Err(Error::Transport {
                        request: self.line,
                        cause,
                    });
                }
            }
        }
    }
}

fn body_error(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
