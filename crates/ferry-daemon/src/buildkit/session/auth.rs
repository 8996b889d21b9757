//! The client's registry credentials, asked for through its session when a registry wants them.

use std::time::Duration;

use async_trait::async_trait;
use bollard_buildkit_proto::moby::filesync::v1::CredentialsRequest;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use ferry_registry::{Credential, Credentials};

use super::Session;

const METHOD: &str = "/moby.filesync.v1.Auth/Credentials";
/// A credential helper on the client's side may have to ask a person's key store.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest answer, in bytes; tokens are a few thousand.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Asks the client of a session for credentials, one registry at a time and only when one asks.
#[derive(Debug, Clone)]
pub(crate) struct SessionCredentials {
    session: Session,
}

impl SessionCredentials {
    /// The credentials of `session`'s client.
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Credentials for SessionCredentials {
    async fn for_registry(&self, domain: &str) -> Option<Credential> {
        let channel = self.session.channel_for(METHOD).ok()?;
        let mut client = AuthClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        let request = CredentialsRequest {
            host: auth_host(domain).to_owned(),
        };
        let answer = tokio::time::timeout(PATIENCE, client.credentials(request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => {
                tracing::debug!(registry = domain, %status, "the client gives no credentials");
                return None;
            }
            Err(_elapsed) => {
                tracing::warn!(registry = domain, "the client does not answer about credentials");
                return None;
            }
        };
        match (answer.username.is_empty(), answer.secret.is_empty()) {
            (_, true) => None,
            (true, false) => Some(Credential::IdentityToken(answer.secret)),
            (false, false) => Some(Credential::Basic {
                username: answer.username,
                password: answer.secret,
            }),
        }
    }
}

/// The host that BuildKit's clients know a registry by: Docker Hub's credentials go by its API's name.
fn auth_host(domain: &str) -> &str {
    match domain {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}
