//! One request to an engine, and the shapes its answer can be read in.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use futures_util::{Stream, TryStreamExt};
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, UPGRADE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::connection::Sender;
use super::{ApiVersion, Engine, Error, Lines};

/// Longest error message that is read (bytes).
const LONGEST_ERROR: usize = 1 << 20;
/// Longest JSON answer that is read (bytes).
const LONGEST_ANSWER: usize = 256 << 20;

/// Pause before a question is asked again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// What the pause does not reach.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Gives each element of a list away as it is read.
struct Rows<F, T>(F, PhantomData<T>);

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Rows<F, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            (self.0)(row);
        }
        Ok(())
    }
}

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is in memory.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of unknown length.
pub(crate) fn streamed(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync()
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// One request, until it is sent by one of the methods that read its answer.
pub(crate) struct Request<'e> {
    engine: &'e Engine,
    method: Method,
    path: String,
    query: Serializer<'static, String>,
    headers: HeaderMap,
    body: Body,
    /// A header or body that could not be made.
    flaw: Option<http::Error>,
}

impl<'e> Request<'e> {
    pub(super) fn new(engine: &'e Engine, method: Method, path: String) -> Self {
        Self {
            engine,
            method,
            path,
            query: Serializer::new(String::new()),
            headers: HeaderMap::new(),
            body: empty(),
            flaw: None,
        }
    }

    /// Adds `key=value` to the query.
    pub(crate) fn query(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.query.append_pair(key, value.as_ref());
        self
    }

    /// Adds `key=value` if there is a value.
    pub(crate) fn query_opt(self, key: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds `key=1` if it holds.
    pub(crate) fn query_if(self, key: &str, holds: bool) -> Self {
        if holds { self.query(key, "1") } else { self }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.append(HeaderName::from_static(name), value);
            }
            Err(error) => self.flaw = Some(error.into()),
        }
        self
    }

    /// Sends `value` as JSON.
    pub(crate) fn json_body<T: Serialize>(mut self, value: &T) -> Self {
        // Our own request types have string keys only, so this cannot fail; were it to, the engine says what is missing.
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = full(bytes);
        self
    }

    /// Sends a body of `content_type`.
    pub(crate) fn body(mut self, content_type: &'static str, body: Body) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body;
        self
    }

    /// Reads the answer as one JSON value.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let request = self.name();
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Malformed { request, source })
    }

    /// Reads the answer, a list, row by row: a long list takes no more memory than its text.
    pub(crate) async fn each<T: DeserializeOwned>(self, take: impl FnMut(T)) -> Result<(), Error> {
        let request = self.name();
        let bytes = self.bytes().await?;
        let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
        deserializer
            .deserialize_seq(Rows(take, PhantomData))
            .and_then(|()| deserializer.end())
            .map_err(|source| Error::Malformed { request, source })
    }

    /// Reads the answer whole, as the engine wrote it.
    pub(crate) async fn bytes(self) -> Result<Bytes, Error> {
        let engine = self.engine;
        let (sender, response) = self.send().await?;
        let bytes = collect(response.into_body(), LONGEST_ANSWER).await?;
        engine.keep(sender);
        Ok(bytes)
    }

    /// Reads the answer for its status alone; 304 means that there was nothing to do.
    pub(crate) async fn status(self) -> Result<StatusCode, Error> {
        let engine = self.engine;
        let (sender, response) = self.send().await?;
        let status = response.status();
        collect(response.into_body(), LONGEST_ANSWER).await?;
        engine.keep(sender);
        Ok(status)
    }

    /// Reads the answer as JSON values, one a line, while it comes.
    pub(crate) async fn lines<T: DeserializeOwned>(self) -> Result<Lines<T>, Error> {
        let request = self.name();
        let (_, response) = self.send().await?;
        Ok(Lines::new(request, response.into_body()))
    }

    /// The answer's head and its body, while it comes.
    pub(crate) async fn stream(self) -> Result<http::Response<Incoming>, Error> {
        let (_, response) = self.send().await?;
        Ok(response)
    }

    /// Takes the connection over for `protocol`: `tcp` for attach, `h2c` for gRPC. Also gives the answer's headers.
    pub(crate) async fn upgrade(mut self, protocol: &'static str) -> Result<(HeaderMap, TokioIo<Upgraded>), Error> {
        let request = self.name();
        self.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        self.headers.insert(UPGRADE, HeaderValue::from_static(protocol));
        let (_, mut response) = self.send().await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::NotUpgraded {
                request,
                status: response.status(),
            });
        }
        let headers = std::mem::take(response.headers_mut());
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| Error::Broken(error.into()))?;
        Ok((headers, TokioIo::new(upgraded)))
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    async fn send(self) -> Result<(Sender, http::Response<Incoming>), Error> {
        // Ferry's own part of the API carries its own version.
        let prefix = match self.path.starts_with("/ferry/") {
            true => "",
            false => self.engine.prefix().await?,
        };
        self.send_under(prefix).await
    }

    async fn send_under(mut self, prefix: &str) -> Result<(Sender, http::Response<Incoming>), Error> {
        let name = self.name();
        if let Some(source) = self.flaw {
            return Err(Error::Unwritable { request: name, source });
        }
        let query = self.query.finish();
        let mut target = format!("{prefix}{}", self.path);
        if !query.is_empty() {
            target.push('?');
            target.push_str(&query);
        }
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(target)
            .body(self.body)
            .map_err(|source| Error::Unwritable { request: name, source })?;
        self.headers
            .insert(HOST, HeaderValue::from_static("api.ferry.localhost"));
        self.headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("ferry/", env!("CARGO_PKG_VERSION"))),
        );
        *request.headers_mut() = self.headers;
        let (sender, response) = exchange(self.engine, request).await?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(refusal(response).await?);
        }
        Ok((sender, response))
    }
}

/// Sends a request and reads the answer's head. A question is asked again of an engine that takes the place
/// of one which went away meanwhile; for anything else nobody knows whether it was done.
async fn exchange(engine: &Engine, request: http::Request<Body>) -> Result<(Sender, http::Response<Incoming>), Error> {
    let question = (request.method() == Method::GET).then(|| {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        move || {
            let mut again = http::Request::new(empty());
            *again.uri_mut() = uri.clone();
            *again.headers_mut() = headers.clone();
            again
        }
    });
    let mut request = request;
    let mut pause = FIRST_PAUSE;
    loop {
        let mut sender = engine.connection().await?;
        match (sender.send_request(request).await, &question) {
            (Ok(response), _) => return Ok((sender, response)),
            (Err(_), Some(question)) if pause < LONGEST_PAUSE => {
                // An engine that was killed takes a moment until nobody listens any longer.
                tokio::time::sleep(pause).await;
                pause *= 2;
                request = question();
            }
            (Err(error), _) => return Err(Error::Broken(error.into())),
        }
    }
}

/// Asks which version of the API the engine speaks.
pub(super) async fn ping(engine: &Engine) -> Result<Option<ApiVersion>, Error> {
    let (sender, response) = engine.get("/_ping").send_under("").await?;
    let version = response
        .headers()
        .get("api-version")
        .and_then(|value| value.to_str().ok())
        .and_then(ApiVersion::parse);
    collect(response.into_body(), LONGEST_ERROR).await?;
    engine.keep(sender);
    Ok(version)
}

async fn collect(body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let collected = Limited::new(body, limit).collect().await.map_err(Error::Broken)?;
    Ok(collected.to_bytes())
}

/// The engine's error: `{"message": …}`, or plain text from what stands before it.
async fn refusal(response: http::Response<Incoming>) -> Result<Error, Error> {
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let status = response.status();
    let bytes = collect(response.into_body(), LONGEST_ERROR).await?;
    let message = match serde_json::from_slice::<Message>(&bytes) {
        Ok(Message { message }) => message,
        Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    let message = if message.is_empty() {
        format!("the engine answered {status}")
    } else {
        message
    };
    Ok(Error::Refused { status, message })
}
