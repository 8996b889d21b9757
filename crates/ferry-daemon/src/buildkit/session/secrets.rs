//! The client's secrets, one at a time, when a step wants them.

use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use ferry_build::Secret;
use tonic::{Code, Status};

use super::Session;

const METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Largest secret, as in BuildKit.
const MAX_SECRET_BYTES: usize = 500 << 10;
/// What else a message with a secret holds.
const MESSAGE_OVERHEAD_BYTES: usize = 1 << 10;

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The client could not read it.
    #[error("secret {id}: {}", status.message())]
    Call {
        /// Its id.
        id: String,
        /// What the client said.
        status: Box<Status>,
    },
    /// It is more than a secret may be.
    #[error("secret {id} is larger than {MAX_SECRET_BYTES} bytes")]
    TooLarge {
        /// Its id.
        id: String,
    },
}

/// Asks the client for the secret `id`; `None` where it has none of that id, or no secrets at all.
pub(crate) async fn get(session: &Session, id: &str) -> Result<Option<Secret>, SecretError> {
    let Ok(channel) = session.channel_for(METHOD) else {
        return Ok(None);
    };
    let mut client = SecretsClient::new(channel).max_decoding_message_size(MAX_SECRET_BYTES + MESSAGE_OVERHEAD_BYTES);
    let request = GetSecretRequest {
        id: id.to_owned(),
        annotations: Default::default(),
    };
    match client.get_secret(request).await {
        Ok(answer) => {
            let data = answer.into_inner().data;
            if data.len() > MAX_SECRET_BYTES {
                return Err(SecretError::TooLarge { id: id.to_owned() });
            }
            Ok(Some(Secret::new(data)))
        }
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) if status.code() == Code::OutOfRange => Err(SecretError::TooLarge { id: id.to_owned() }),
        Err(status) => Err(SecretError::Call {
            id: id.to_owned(),
            status: Box::new(status),
        }),
    }
}
