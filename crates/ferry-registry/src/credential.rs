//! Who a person is to a registry, and the port through which the client asks for it.

use async_trait::async_trait;

/// A secret for one registry, as `docker login` stores it. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name with a password or a personal access token.
    Basic {
        /// The account's name.
        username: String,
        /// Its password or access token.
        password: String,
    },
    /// An OAuth2 refresh token (`identitytoken` in Docker's config.json), exchanged at the
    /// registry's token server for short-lived tokens.
    IdentityToken(String),
    /// A ready bearer token (`registrytoken` in Docker's config.json), sent as it is.
    Bearer(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic { username, .. } => f
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
            Self::IdentityToken(_) => f.write_str("IdentityToken(..)"),
            Self::Bearer(_) => f.write_str("Bearer(..)"),
        }
    }
}

/// Where credentials come from: Docker's config.json, a credential helper, or the header
/// `X-Registry-Auth` of one request.
///
/// The client asks at most once per operation, and only for the registry that the reference names.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The credential for a registry, or `None` to stay anonymous.
    ///
    /// `domain` is the domain of a normalised reference: `docker.io`, `localhost:5000`, `[::1]:5000`.
    async fn for_registry(&self, domain: &str) -> Option<Credential>;
}

/// No credentials: every registry is asked anonymously.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

#[async_trait]
impl Credentials for Anonymous {
    async fn for_registry(&self, _domain: &str) -> Option<Credential> {
        None
    }
}

/// One credential for one registry: the shape of Docker's `X-Registry-Auth`.
#[derive(Debug, Clone)]
pub struct ForOneRegistry {
    /// The domain that the credential belongs to, as in [`Credentials::for_registry`].
    pub domain: String,
    /// The credential.
    pub credential: Credential,
}

#[async_trait]
impl Credentials for ForOneRegistry {
    async fn for_registry(&self, domain: &str) -> Option<Credential> {
        (domain == self.domain).then(|| self.credential.clone())
    }
}
