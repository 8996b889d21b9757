//! The client's secrets for `RUN --mount=type=secret`, asked for through its session.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use tonic::{Code, Status};

use super::{Session, SessionError};

const METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Largest secret, in bytes; clients refuse more than 500 kB.
const MAX_SECRET_BYTES: usize = 1 << 20;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The session offers no secrets.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The client failed to give it.
    #[error("secret {id}: {}", status.message())]
    Call {
        /// The secret.
        id: String,
        /// Why.
        status: Box<Status>,
    },
}

/// The secret `id`, or `None` when the client has none of that name.
pub async fn get(session: &Session, id: &str) -> Result<Option<Vec<u8>>, SecretError> {
    let channel = session.channel_for(METHOD)?;
    let request = GetSecretRequest {
        id: id.to_owned(),
        annotations: HashMap::new(),
    };
    let answer = SecretsClient::new(channel)
        .max_decoding_message_size(MAX_SECRET_BYTES)
        .get_secret(request)
        .await;
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner().data)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(SecretError::Call {
            id: id.to_owned(),
            status: Box::new(status),
        }),
    }
}
