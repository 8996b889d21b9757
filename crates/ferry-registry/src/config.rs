//! What a [`crate::Client`] is told once, when it is made: names, trust, proxies, limits.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`crate::Client`]. The library reads no environment: the caller passes it in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The `User-Agent` header of every request, for example `ferry/0.1.0`.
    pub user_agent: String,
    /// Registries that may be spoken to without a verified certificate, or by plain http:
    /// `host`, `host:port`, an IP address or a CIDR. Loopback addresses are always among them,
    /// as in Docker.
    pub insecure: Vec<String>,
    /// Folders in Docker's layout `certs.d/<host[:port]>/{*.crt,*.cert,*.key}`: authorities and
    /// client certificates of single registries. The first folder that has the host wins.
    pub certificate_dirs: Vec<PathBuf>,
    /// Hosts of token servers that may see credentials though they lie outside the registry's own
    /// domain. See [`crate::Error::UntrustedRealm`].
    pub trusted_realms: Vec<String>,
    /// Which proxies to go through.
    pub proxies: Proxies,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When to try again, and how often.
    pub retry: Retry,
    /// Layers that are downloaded and unpacked at the same time, for one pull.
    pub downloads: NonZeroUsize,
    /// Blobs that are uploaded at the same time, for one push.
    pub uploads: NonZeroUsize,
}

impl Default for Config {
    /// Docker's habits: no insecure registry but loopback, three downloads, five uploads.
    fn default() -> Self {
        Self {
            user_agent: concat!("ferry/", env!("CARGO_PKG_VERSION")).to_owned(),
            insecure: Vec::new(),
            certificate_dirs: ["/etc/ferry/certs.d", "/etc/docker/certs.d"]
                .map(PathBuf::from)
                .to_vec(),
            trusted_realms: Vec::new(),
            proxies: Proxies::default(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            downloads: NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN),
            uploads: NonZeroUsize::new(5).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// The values of `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in curl's syntax. Loopback hosts are
/// never reached through a proxy.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy of `http://` registries; may hold `user:password@`.
    pub http: Option<String>,
    /// The proxy of `https://` registries; may hold `user:password@`.
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, separated by commas.
    pub no_proxy: Option<String>,
}

impl Proxies {
    /// Whether a proxy itself is reached by TLS.
    pub(crate) fn need_tls(&self) -> bool {
        let is_https = |proxy: &Option<String>| proxy.as_deref().is_some_and(|url| url.starts_with("https://"));
        is_https(&self.http) || is_https(&self.https)
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Proxy URLs may hold a password.
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// How long the client waits before it calls a registry unreachable or stuck.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together, for one connection.
    pub connect: Duration,
    /// From the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a body, in either direction.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

/// Back-off between attempts: `first_delay`, doubled each time up to `max_delay`, plus up to a
/// quarter at random. A registry's `Retry-After` takes precedence, up to `max_retry_after`.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts in all for one request, or for one blob without any progress in between.
    pub attempts: u32,
    /// The pause after the first failure.
    pub first_delay: Duration,
    /// The longest pause that is not asked for by the registry.
    pub max_delay: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one is an error at once.
    pub max_retry_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(120),
        }
    }
}
