//! One HTTP request to one host: connection reuse, TLS by trust, time limits; no credentials, no retries.

mod body;
mod call;
mod dial;
mod names;
mod tls;

use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::Uri;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tower_service::Service;

pub(crate) use self::body::Outgoing;
use self::body::watched;
pub(crate) use self::call::{Answer, Call, Payload, without_secrets};
use self::dial::{Dial, Route, Routes};
pub(crate) use self::names::is_localhost;
pub(crate) use self::tls::certificate_folder;
use crate::endpoint::{Trust, TrustPolicy, authority_of};
use crate::{Config, Error, TransportError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Http = Client<Connector, Outgoing>;

/// Idle connections kept for each host: as many as are in use at once.
const MAX_IDLE_PER_HOST: usize = 8;

/// Bytes that one HTTP/2 stream may send before they are read: enough for 100 MB/s at 20 ms.
const STREAM_WINDOW_LEN_BYTES: u32 = 2 << 20;
/// The same for all streams of a connection together: a layer that is unpacked slowly must not hold
/// up the others.
const CONNECTION_WINDOW_LEN_BYTES: u32 = 16 << 20;

/// All HTTP clients of one [`crate::Client`]: one for each set of trusted certificates.
pub(crate) struct Transport {
    config: Arc<Config>,
    policy: TrustPolicy,
    routes: Arc<Routes>,
    user_agent: HeaderValue,
    roots: OnceLock<RootCertStore>,
    clients: Mutex<HashMap<TlsKind, Http>>,
}

/// What tells HTTP clients apart: connections must not be shared between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TlsKind {
    Verified,
    Unverified,
    /// A folder of `certs.d`, and when it last changed.
    Folder(PathBuf, Option<SystemTime>),
}

impl Transport {
    pub(crate) fn new(config: Arc<Config>) -> Result<Self, Error> {
        let user_agent = HeaderValue::from_str(&config.user_agent).map_err(|error| Error::Setting {
            setting: "user agent",
            problem: error.to_string(),
        })?;
        Ok(Self {
            policy: TrustPolicy::new(&config)?,
            routes: Arc::new(Routes::new(&config.proxies)?),
            user_agent,
            roots: OnceLock::new(),
            clients: Mutex::new(HashMap::new()),
            config,
        })
    }

    pub(crate) fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// Sends `call` to the host that its URL names, once. Any status is an answer.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let line = call.line();
        let trust = self.policy.of(&authority_of(&call.url));
        let client = self.client(&trust)?;
        let (body, activity) = watched(call.payload.body());
        let mut request = http::Request::builder().method(&call.method).uri(call.url.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.extend(call.headers.clone());
            headers.insert(USER_AGENT, self.user_agent.clone());
            // hyper derives Host from the URI.
            headers.remove(HOST);
        }
        let mut request = request.body(body).map_err(|_| Error::Protocol {
            request: line.clone(),
            problem: "URL cannot be requested",
        })?;
        if let Some(authorization) = self.routes.proxy_authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        tracing::debug!(request = %line, "sending");
        let timeouts = self.config.timeouts;
        let answer = tokio::select! {
            answer = client.request(request) => answer.map_err(|error| describe(&error, &timeouts)),
            cause = activity.silence(&timeouts) => Err(cause),
        };
        match answer {
            Ok(response) => {
                tracing::debug!(request = %line, status = response.status().as_u16(), "answered");
                Ok(Answer::new(line, response, timeouts.stall))
            }
            Err(cause) => Err(Error::Transport { request: line, cause }),
        }
    }

    fn client(&self, trust: &Trust) -> Result<Http, Error> {
        let kind = match trust {
            Trust::Verified => TlsKind::Verified,
            Trust::Insecure | Trust::Loopback => TlsKind::Unverified,
            Trust::Folder(folder) => {
                let changed = folder.metadata().and_then(|metadata| metadata.modified()).ok();
                TlsKind::Folder(folder.clone(), changed)
            }
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let client = self.build(&kind)?;
        clients.insert(kind, client.clone());
        Ok(client)
    }

    fn build(&self, kind: &TlsKind) -> Result<Http, Error> {
        let roots = || self.roots.get_or_init(tls::host_authorities);
        let tls = match kind {
            TlsKind::Unverified => tls::unverified()?,
            TlsKind::Verified => tls::verified(roots(), None)?,
            TlsKind::Folder(folder, _) => tls::verified(roots(), Some(tls::RegistryCertificates::read(folder)?))?,
        };
        let proxy_tls = if self.config.proxies.need_tls() {
            tls::verified(roots(), None)?
        } else {
            tls::trusting_nobody()?
        };
        let dial = Dial::new(Arc::clone(&self.routes), Arc::new(proxy_tls));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(dial);
        let connector = Connector {
            https,
            limit: self.config.timeouts.connect,
        };
        Ok(Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .pool_idle_timeout(Duration::from_secs(60))
            .http2_initial_stream_window_size(STREAM_WINDOW_LEN_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_LEN_BYTES)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .build(connector))
    }
}

/// Connects within a time limit: look-up, TCP, proxy and TLS together.
#[derive(Clone)]
struct Connector {
    https: HttpsConnector<Dial>,
    limit: Duration,
}

/// The limit of [`Connector`] has passed.
#[derive(Debug, thiserror::Error)]
#[error("no connection after {0:?}")]
struct ConnectTimeout(Duration);

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Route>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = self.https.call(destination);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(ConnectTimeout(limit).into()),
            }
        })
    }
}

/// hyper's error as a cause that a person can act on.
fn describe(error: &hyper_util::client::legacy::Error, timeouts: &crate::Timeouts) -> TransportError {
    let mut words: Vec<String> = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(cause) = next {
        let inner = unwrapped(cause);
        if inner.is::<ConnectTimeout>() {
            return TransportError::ConnectTimeout(timeouts.connect);
        }
        if let Some(rustls::Error::InvalidCertificate(problem)) = inner.downcast_ref() {
            return TransportError::Certificate(problem.to_string());
        }
        if let Some(rustls::Error::InvalidMessage(_)) = inner.downcast_ref() {
            return TransportError::NotTls;
        }
        let text = cause.to_string();
        if !words.iter().any(|word| word.contains(&text)) {
            words.push(text);
        }
        next = cause.source();
    }
    let words = if words.is_empty() {
        error.to_string()
    } else {
        words.join(": ")
    };
    if error.is_connect() {
        TransportError::Connect(words)
    } else {
        TransportError::Broken(words)
    }
}

/// What lies within nested `io::Error`s, which hide it from `source()`.
fn unwrapped<'a>(cause: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = cause;
    while let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()) {
        cause = inner;
    }
    cause
}
