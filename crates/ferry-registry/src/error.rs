//! What can go wrong between this host and a registry, with the facts and a remedy.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ferry_oci::{Digest, DocumentError, Platform};

use crate::Access;

/// One request as errors and logs name it: method and URL, without query (it may be pre-signed),
/// user info or headers.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestLine {
    pub(crate) method: http::Method,
    pub(crate) url: String,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

impl fmt::Debug for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a connection or a body failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection: name look-up, TCP, proxy or TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server's certificate is not trusted.
    #[error("certificate not trusted: {0}")]
    Certificate(String),
    /// https was expected, and something else was spoken, most often http.
    #[error("the server does not speak TLS")]
    NotTls,
    /// No connection within the time allowed.
    #[error("no connection after {0:?}")]
    ConnectTimeout(Duration),
    /// The request was sent and nothing came back.
    #[error("no answer after {0:?}")]
    FirstByteTimeout(Duration),
    /// A body stopped moving.
    #[error("transfer stalled for {0:?}")]
    Stalled(Duration),
    /// A body ended before its time.
    #[error("connection closed after {received} of {expected} bytes")]
    Short {
        /// Bytes that arrived.
        received: u64,
        /// Bytes that were promised.
        expected: u64,
    },
    /// The connection broke.
    #[error("connection failed: {0}")]
    Broken(String),
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectProblem {
    /// More hops than [`crate::MAX_REDIRECTS`].
    #[error("too many redirects")]
    TooMany,
    /// From https to http.
    #[error("redirect from https to http")]
    Downgrade,
    /// No `Location`, or not a URL.
    #[error("redirect without a usable location")]
    Malformed,
}

/// What the caller may conclude from an [`Error`]: one class for one HTTP status and exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The registry does not have it.
    NotFound,
    /// A credential is missing or wrong.
    Unauthorized,
    /// The credential is known, and not allowed to do this.
    Forbidden,
    /// The registry cannot be reached or is overloaded; trying again later may help.
    Unavailable,
    /// What was asked for, or what the registry sent, makes no sense.
    Invalid,
    /// This host's fault.
    Internal,
}

/// An operation on a registry failed. Nothing of it is visible in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the manifest nor, as far as an anonymous client can know, the repository exists.
    #[error("{what} not found in registry {registry}")]
    NotFound {
        /// Reference or digest.
        what: String,
        /// Domain of the registry.
        registry: String,
    },
    /// 401, or a token server that refused: no credential or a wrong one.
    #[error("{access} access to {subject} denied: {detail}")]
    Unauthorized {
        /// Domain of the registry, as `ferry login` takes it.
        registry: String,
        /// Repository or registry.
        subject: String,
        /// What was attempted.
        access: Access,
        /// Whether a credential was sent.
        credential: CredentialUse,
        /// The registry's words.
        detail: String,
    },
    /// 403: the credential is known and not allowed to do this.
    #[error("{access} access to {subject} denied: {detail}")]
    Forbidden {
        /// Domain of the registry.
        registry: String,
        /// Repository or registry.
        subject: String,
        /// What was attempted.
        access: Access,
        /// The registry's words.
        detail: String,
    },
    /// Any other refusal, after the attempts allowed.
    #[error("{request} answered {status}: {detail}")]
    Status {
        /// The request.
        request: RequestLine,
        /// HTTP status.
        status: http::StatusCode,
        /// The registry's words.
        detail: String,
    },
    /// The connection failed, after the attempts allowed.
    #[error("{request}: {cause}")]
    Transport {
        /// The request.
        request: RequestLine,
        /// How.
        cause: TransportError,
    },
    /// A redirect that is not followed.
    #[error("{request}: {problem}")]
    Redirect {
        /// The request that was redirected.
        request: RequestLine,
        /// Why it ends here.
        problem: RedirectProblem,
    },
    /// A protocol rule is broken.
    #[error("{request}: malformed answer: {problem}")]
    Protocol {
        /// The request.
        request: RequestLine,
        /// Which rule.
        problem: &'static str,
    },
    /// The registry asks for a kind of authentication that is neither Basic nor Bearer.
    #[error("registry {registry} asks for unsupported authentication {scheme:?}")]
    Challenge {
        /// Domain of the registry.
        registry: String,
        /// What it asks for.
        scheme: String,
    },
    /// The registry names a token server outside its own domain, and credentials would go there.
    #[error("registry {registry} sends credentials to {realm_host}, which is not trusted")]
    UntrustedRealm {
        /// Domain of the registry.
        registry: String,
        /// Host of the token server.
        realm_host: String,
    },
    /// The registry is https and its token server is http.
    #[error("registry {registry} names a token server without TLS: {realm}")]
    InsecureRealm {
        /// Domain of the registry.
        registry: String,
        /// The token server, without query.
        realm: String,
    },
    /// The bytes are not what was asked for.
    #[error("{what} has digest {actual}, expected {expected}")]
    DigestMismatch {
        /// Manifest, config or layer, and of what.
        what: String,
        /// From the reference, the descriptor or the registry's header.
        expected: Digest,
        /// Of the bytes that came.
        actual: Digest,
    },
    /// More or fewer bytes than the descriptor says.
    #[error("{what} has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// Manifest, config or layer, and of what.
        what: String,
        /// From the descriptor.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// Larger than we read from outside.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was being read.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// An index, manifest or config that cannot be read.
    #[error("{what}: {source}")]
    Document {
        /// Which, and of what.
        what: String,
        /// Why.
        source: DocumentError,
    },
    /// A descriptor that cannot be used.
    #[error("{what}: {problem}")]
    Descriptor {
        /// The document that holds it.
        what: String,
        /// Why.
        problem: String,
    },
    /// Layers that lie outside the registry are never fetched.
    #[error("{reference} has a foreign layer {digest} of type {media_type}")]
    ForeignLayer {
        /// The image.
        reference: String,
        /// The layer.
        digest: String,
        /// Its media type.
        media_type: String,
    },
    /// A chart, a signature, or another artifact that is not a container image.
    #[error("{reference} is not a container image but an artifact of type {kind}")]
    NotAnImage {
        /// The reference.
        reference: String,
        /// Its artifact, config or layer type.
        kind: String,
    },
    /// The image lacks what was asked for.
    #[error("{reference} has no image for {}; it has {}", list(wanted), list(available))]
    NoPlatform {
        /// The image.
        reference: String,
        /// What was asked for.
        wanted: Vec<Platform>,
        /// What the image has.
        available: Vec<Platform>,
    },
    /// A push of an index some of whose platforms are not in the store.
    #[error(
        "{reference} is incomplete here: {} missing, {} present",
        list(missing),
        list(present)
    )]
    Incomplete {
        /// The image.
        reference: String,
        /// Platforms that the index names and the store lacks.
        missing: Vec<Platform>,
        /// Platforms that could be pushed.
        present: Vec<Platform>,
    },
    /// A blob that neither the store nor the registry has.
    #[error("{what} is neither in the local store nor in registry {registry}")]
    MissingBlob {
        /// Which, and of what.
        what: String,
        /// Domain of the registry.
        registry: String,
    },
    /// A certificate or key of a registry.
    #[error("{}: {problem}", path.display())]
    Certificates {
        /// File or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No authority is trusted, so no https registry can be.
    #[error("no trusted certificate authorities found on this host")]
    NoAuthorities,
    /// A value in [`crate::Config`] that means nothing.
    #[error("invalid {setting}: {problem}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why.
        problem: String,
    },
    /// The local store failed.
    #[error("{what}: {source}")]
    Store {
        /// What was being done, on what.
        what: String,
        /// The store's error.
        source: Box<ferry_store::Error>,
    },
    /// A thread of ours ended without an answer.
    #[error("{what}: worker thread failed")]
    Worker {
        /// What it was doing.
        what: String,
    },
}

/// Whether a credential was part of what the registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialUse {
    /// None was given.
    Anonymous,
    /// One was sent, and refused.
    Sent,
}

impl Error {
    /// The class that decides HTTP status and exit code.
    pub fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } | Self::NoPlatform { .. } => Class::NotFound,
            Self::Unauthorized { .. } => Class::Unauthorized,
            Self::Forbidden { .. } | Self::UntrustedRealm { .. } | Self::InsecureRealm { .. } => Class::Forbidden,
            Self::Status { status, .. } if status.is_server_error() => Class::Unavailable,
            Self::Status { status, .. } if *status == http::StatusCode::TOO_MANY_REQUESTS => Class::Unavailable,
            Self::Transport { .. } => Class::Unavailable,
            Self::Store { source, .. } => class_of_store(source),
            Self::Worker { .. } | Self::Certificates { .. } | Self::NoAuthorities => Class::Internal,
            _ => Class::Invalid,
        }
    }

    /// What the person can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotFound { .. } => {
                "check the name and the tag; a private repository looks the same until `ferry login`".to_owned()
            }
            Self::Unauthorized {
                registry,
                credential: CredentialUse::Anonymous,
                ..
            } => format!("the repository does not exist or is private: run `ferry login {registry}`"),
            Self::Unauthorized {
                registry,
                credential: CredentialUse::Sent,
                ..
            } => format!("the stored credential was refused: run `ferry login {registry}` again"),
            Self::Forbidden { registry, .. } => {
                format!("this account lacks the right: use another one with `ferry login {registry}`")
            }
            Self::Status { status, .. } if *status == http::StatusCode::TOO_MANY_REQUESTS => {
                "the registry limits the rate of requests: wait, or log in for a higher limit".to_owned()
            }
            Self::Transport {
                cause: TransportError::Certificate(_),
                ..
            } => "put the registry's authority into certs.d/<host>/ca.crt, or list the registry as insecure".to_owned(),
            Self::Transport {
                cause: TransportError::NotTls,
                ..
            } => "if the registry is meant to speak plain http, list it as insecure".to_owned(),
            Self::Transport { .. } => {
                "check the registry's name, the network and the proxy settings; the command can be repeated".to_owned()
            }
            Self::UntrustedRealm { realm_host, .. } => {
                format!("if that host is known to belong to the registry, add {realm_host} to the trusted realms")
            }
            Self::InsecureRealm { .. } => {
                "the registry's own configuration is at fault: its token server must use https".to_owned()
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "the registry or a proxy on the way delivers damaged content".to_owned()
            }
            Self::ForeignLayer { .. } => {
                "its licence keeps it out of registries; Ferry does not fetch layers from elsewhere".to_owned()
            }
            Self::NoPlatform { .. } => "choose one with `--platform`".to_owned(),
            Self::Incomplete { reference, .. } => {
                format!("fetch the rest with `ferry pull --all-platforms {reference}`, or push one with `--platform`")
            }
            Self::MissingBlob { .. } => "pull or build the image again".to_owned(),
            Self::NoAuthorities => "install the package ca-certificates".to_owned(),
            _ => return None,
        })
    }
}

/// Content that is damaged or hostile is not this host's fault.
fn class_of_store(error: &ferry_store::Error) -> Class {
    use ferry_store::Error as Store;
    match error {
        Store::DigestMismatch { .. }
        | Store::SizeMismatch { .. }
        | Store::DiffIdMismatch { .. }
        | Store::TooLarge { .. }
        | Store::NotALayer(_)
        | Store::Compression { .. }
        | Store::Tar(_)
        | Store::Entry { .. }
        | Store::Limit { .. }
        | Store::Document { .. }
        | Store::Digest(_)
        | Store::LayerCount { .. } => Class::Invalid,
        _ => Class::Internal,
    }
}

/// Platforms as a person reads them.
fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = platforms.iter().map(ToString::to_string).collect();
    names.join(", ")
}
