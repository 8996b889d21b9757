//! Secrets that the user offers to a build: `--secret id=key,src=file` or `env=VARIABLE`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse, secrets_server};
use tonic::{Request, Response, Status};

/// Largest secret (bytes), as in BuildKit.
const LARGEST: u64 = 500 << 10;

/// A secret and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    id: String,
    from: From,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    File(PathBuf),
    Variable(String),
}

/// A `--secret` that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid secret {0:?}: expected id=NAME[,src=FILE|,env=VARIABLE]")]
pub(crate) struct InvalidSecret(String);

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let invalid = || InvalidSecret(text.to_owned());
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for field in text.split(',') {
            let (key, value) = field.split_once('=').ok_or_else(invalid)?;
            match key.trim().to_ascii_lowercase().as_str() {
                "id" => id = Some(value.to_owned()),
                "src" | "source" => file = Some(value.to_owned()),
                "env" => variable = Some(value.to_owned()),
                "type" => kind = Some(value.to_owned()),
                _ => return Err(invalid()),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or_else(invalid)?;
        let from = match (kind.as_deref(), file, variable) {
            (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => From::Variable(name),
            (None | Some("file"), Some(file), None) => From::File(file.into()),
            // Without a source: the variable of that name if there is one, or else the file.
            (None, None, None) if std::env::var_os(&id).is_some() => From::Variable(id.clone()),
            (None | Some("file"), None, None) => From::File(id.clone().into()),
            (Some("env"), None, None) => From::Variable(id.clone()),
            _ => return Err(invalid()),
        };
        Ok(Self { id, from })
    }
}

/// The secrets of one build.
pub(super) struct Secrets(HashMap<String, From>);

impl Secrets {
    pub(super) fn new(secrets: Vec<Secret>) -> Self {
        Self(secrets.into_iter().map(|secret| (secret.id, secret.from)).collect())
    }
}

#[tonic::async_trait]
impl secrets_server::Secrets for Secrets {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        use std::io::Read;
        use std::os::unix::ffi::OsStringExt;
        let id = request.into_inner().id;
        let from = self
            .0
            .get(&id)
            .ok_or_else(|| Status::not_found(format!("secret {id} was not offered: --secret id={id},src=FILE")))?;
        let data = match from {
            From::Variable(name) => std::env::var_os(name)
                .ok_or_else(|| Status::not_found(format!("secret {id}: the variable {name} is not set")))?
                .into_vec(),
            From::File(path) => {
                let unreadable =
                    |error| Status::unknown(format!("secret {id}: cannot read {}: {error}", path.display()));
                let mut data = Vec::new();
                std::fs::File::open(path)
                    .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut data))
                    .map_err(unreadable)?;
                data
            }
        };
        if data.len() as u64 > LARGEST {
            return Err(Status::invalid_argument(format!(
                "secret {id} is larger than {LARGEST} bytes"
            )));
        }
        Ok(Response::new(GetSecretResponse { data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read() {
        let file = |id: &str, path: &str| {
            Some(Secret {
                id: id.into(),
                from: From::File(path.into()),
            })
        };
        let variable = |id: &str, name: &str| {
            Some(Secret {
                id: id.into(),
                from: From::Variable(name.into()),
            })
        };
        for (text, secret) in [
            ("id=a,src=/x", file("a", "/x")),
            ("type=file,id=a,source=/x", file("a", "/x")),
            ("id=a,env=B", variable("a", "B")),
            ("id=PATH", variable("PATH", "PATH")),
            ("id=surely-not-set", file("surely-not-set", "surely-not-set")),
            ("src=/x", None),
            ("id=", None),
            ("a", None),
            ("id=a,colour=red", None),
        ] {
            assert_eq!(text.parse().ok(), secret, "{text}");
        }
    }
}
