//! A registry in the test's own process that answers as the test wants, byte by byte.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ferry_oci::{Descriptor, Digest};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::image::{Content, digest_of};

/// A request, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `GET /v2/`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn is_blob_get(&self) -> bool {
        self.method == Method::GET && self.path.contains("/blobs/sha256:")
    }
}

/// An answer, piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) pieces: Vec<Piece>,
    /// How long the answer's first byte takes.
    pub(crate) delay: Duration,
}

/// A part of an answer's body.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Bytes(Bytes),
    Pause(Duration),
    /// Breaks the connection.
    Abort,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            pieces: Vec::new(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.pieces.push(Piece::Bytes(bytes.into()));
        self
    }

    pub(crate) fn json(status: u16, text: &str) -> Self {
        Self::new(status)
            .header("content-type", "application/json")
            .body(text.to_owned())
    }

    /// The first `length` bytes of the body, and then `end`, under the length of the whole.
    pub(crate) fn cut(mut self, length: usize, end: Piece) -> Self {
        let whole = self.whole();
        self = self.header("content-length", whole.len().to_string());
        // The pause lets the bytes out before the connection breaks.
        let pause = Piece::Pause(Duration::from_millis(50));
        self.pieces = vec![Piece::Bytes(whole.slice(..length.min(whole.len()))), pause, end];
        self
    }

    pub(crate) fn whole(&self) -> Bytes {
        let bytes = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        });
        bytes.flatten().collect::<Vec<u8>>().into()
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;
type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>;

/// A running server; it stops when dropped.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Serves `handler` on a free port of 127.0.0.1.
    pub(crate) async fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, handler)
    }

    /// Serves `handler` to all who connect to `listener`.
    pub(crate) fn start_on(listener: TcpListener, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let handler: Arc<Handler> = Arc::new(handler);
        let shared_log = Arc::clone(&log);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&shared_log));
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        answer(request, Arc::clone(&handler), Arc::clone(&log))
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, log, task }
    }

    /// `127.0.0.1:port/path` as a reference.
    pub(crate) fn reference(&self, path: &str) -> ferry_oci::Reference {
        ferry_oci::Reference::parse(&format!("{}/{path}", self.address)).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, without the first look at the entry point.
    pub(crate) fn log(&self) -> Vec<Asked> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|asked| asked.path != "/v2/").cloned().collect()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.log().iter().map(Asked::line).collect()
    }
}

fn answer(
    request: http::Request<Incoming>,
    handler: Arc<Handler>,
    log: Arc<Mutex<Vec<Asked>>>,
) -> Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>> {
    Box::pin(async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let asked = Asked {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
        };
        log.lock().unwrap().push(asked.clone());
        let reply = handler(&asked);
        tokio::time::sleep(reply.delay).await;
        let mut response = http::Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
        for (name, value) in &reply.headers {
            response = response.header(*name, value);
        }
        let is_head = asked.method == Method::HEAD;
        if is_head && !reply.headers.iter().any(|(name, _)| *name == "content-length") {
            response = response.header("content-length", reply.whole().len());
        }
        let pieces = if is_head { Vec::new() } else { reply.pieces };
        let body = if let [Piece::Bytes(bytes)] = &pieces[..] {
            http_body_util::Full::new(bytes.clone())
                .map_err(|never| match never {})
                .boxed_unsync()
        } else {
            let frames = stream::unfold(pieces.into_iter(), |mut pieces| async move {
                loop {
                    match pieces.next()? {
                        Piece::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), pieces)),
                        Piece::Pause(pause) => tokio::time::sleep(pause).await,
                        Piece::Abort => return Some((Err(io::Error::other("cut")), pieces)),
                    }
                }
            });
            StreamBody::new(frames).boxed_unsync()
        };
        Ok(response.body(body).unwrap())
    })
}

/// An obedient registry over fixed content; the tag `latest` of every repository is `root`.
pub(crate) fn serve(content: &Content, root: &Descriptor) -> impl Fn(&Asked) -> Reply + Send + Sync + use<> {
    let content = content.clone();
    let root = digest_of(root);
    move |asked| {
        if asked.path == "/v2/" {
            return Reply::json(200, "{}");
        }
        let Some((_, name)) = asked.path.rsplit_once('/') else {
            return Reply::new(404);
        };
        if asked.path.contains("/manifests/") {
            let digest = if name == "latest" {
                Some(root)
            } else {
                name.parse::<Digest>().ok()
            };
            let found = digest.and_then(|digest| Some((digest, content.manifests.get(&digest)?)));
            return match found {
                Some((digest, (media_type, bytes))) => Reply::new(200)
                    .header("content-type", media_type)
                    .header("docker-content-digest", digest.to_string())
                    .body(bytes.clone()),
                None => Reply::json(
                    404,
                    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                ),
            };
        }
        let blob = name
            .parse::<Digest>()
            .ok()
            .and_then(|digest| content.blobs.get(&digest));
        match blob {
            Some(bytes) => ranged(asked, bytes),
            None => Reply::json(404, r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#),
        }
    }
}

/// A blob, or the part of it that was asked for.
pub(crate) fn ranged(asked: &Asked, bytes: &[u8]) -> Reply {
    let start = asked
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match start {
        Some(start) if start < bytes.len() => Reply::new(206)
            .header(
                "content-range",
                format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()),
            )
            .body(bytes[start..].to_vec()),
        Some(_) => Reply::new(416),
        None => Reply::new(200).body(bytes.to_vec()),
    }
}

/// Counts how often each key was asked for.
#[derive(Default, Clone)]
pub(crate) struct Counter(Arc<Mutex<HashMap<String, usize>>>);

impl Counter {
    /// How often `key` came before, from 0.
    pub(crate) fn next(&self, key: &str) -> usize {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(key.to_owned()).or_default();
        *count += 1;
        *count - 1
    }
}
