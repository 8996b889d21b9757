//! One TCP connection to a registry: direct, or through the configured proxy.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::names::Names;
use crate::endpoint::is_loopback;
use crate::{Error, Proxies};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The proxies to use, checked.
pub(crate) struct Routes(Matcher);

impl Routes {
    /// Checks the proxies' URLs: only `http` and `https` proxies exist here.
    pub(crate) fn new(proxies: &Proxies) -> Result<Self, Error> {
        let checked = |setting: &'static str, value: &Option<String>| match value.as_deref() {
            None | Some("") => Ok(String::new()),
            Some(url) if !url.contains("://") || url.starts_with("http://") || url.starts_with("https://") => {
                Ok(url.to_owned())
            }
            // The URL may hold a password: it is not repeated.
            Some(_) => Err(Error::Setting {
                setting,
                problem: "only http and https proxies are supported".to_owned(),
            }),
        };
        Ok(Self(
            Matcher::builder()
                .http(checked("HTTP_PROXY", &proxies.http)?)
                .https(checked("HTTPS_PROXY", &proxies.https)?)
                .no(proxies.no_proxy.clone().unwrap_or_default())
                .build(),
        ))
    }

    /// The proxy on the way to `uri`; loopback is never reached through one.
    fn proxy(&self, uri: &Uri) -> Option<Intercept> {
        uri.host().filter(|host| !is_loopback(host))?;
        self.0.intercept(uri)
    }

    /// The `Proxy-Authorization` of a plain http request; tunnels carry their own.
    pub(crate) fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme() != Some(&http::uri::Scheme::HTTP) {
            return None;
        }
        self.proxy(uri)?.basic_auth().cloned()
    }
}

/// Opens connections; TLS to the registry itself comes on top.
#[derive(Clone)]
pub(crate) struct Dial {
    /// TCP, with TLS only towards an https proxy.
    to_proxy: HttpsConnector<HttpConnector<Names>>,
    tcp: HttpConnector<Names>,
    routes: Arc<Routes>,
}

impl Dial {
    pub(crate) fn new(routes: Arc<Routes>, proxy_tls: Arc<rustls::ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Names);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(std::time::Duration::from_secs(30)));
        Self {
            to_proxy: HttpsConnector::from((tcp.clone(), proxy_tls)),
            tcp,
            routes,
        }
    }
}

impl Service<Uri> for Dial {
    type Response = Route;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Route, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let Some(proxy) = self.routes.proxy(&destination) else {
            let connecting = self.tcp.call(destination);
            return Box::pin(async move {
                Ok(Route {
                    stream: MaybeHttpsStream::Http(connecting.await?),
                    via: Via::Direct,
                })
            });
        };
        if destination.scheme() == Some(&http::uri::Scheme::HTTPS) {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let connecting = tunnel.call(destination);
            Box::pin(async move {
                Ok(Route {
                    stream: connecting.await?,
                    via: Via::Tunnel,
                })
            })
        } else {
            let connecting = self.to_proxy.call(proxy.uri().clone());
            Box::pin(async move {
                Ok(Route {
                    stream: connecting.await?,
                    via: Via::ForwardProxy,
                })
            })
        }
    }
}

/// How a connection reaches its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Direct,
    /// CONNECT: the registry's TLS runs inside.
    Tunnel,
    /// The proxy reads the request, whose target must then be an absolute URL.
    ForwardProxy,
}

/// A connection that knows whether a forwarding proxy is at its end.
pub(crate) struct Route {
    stream: Stream,
    via: Via,
}

impl Connection for Route {
    fn connected(&self) -> Connected {
        // A tunnel's or a direct TCP connection's ALPN is negotiated on top of it; an https proxy's
        // own must not be mistaken for the registry's.
        let connected = match &self.stream {
            MaybeHttpsStream::Http(tcp) => tcp.connected(),
            MaybeHttpsStream::Https(_) => Connected::new(),
        };
        connected.proxy(self.via == Via::ForwardProxy)
    }
}

impl Read for Route {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Route {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }
}
