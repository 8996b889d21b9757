//! The session of a build: services of ours that the engine calls while it builds.

mod auth;
mod file_sync;
mod health;
mod metadata;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_sync_server::FileSyncServer;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tonic::service::Routes;

use super::{channel, identity};
use crate::config::Config;
use crate::engine::Engine;
use crate::failure::Failure;

pub(crate) use secrets::Secret;

/// The methods that are served, as `POST /session` announces them.
const METHODS: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
];

/// What a build may ask of us.
#[derive(Debug)]
pub(super) struct Offer {
    /// Folders by the names that the frontend knows them by: `context`, `dockerfile`.
    pub(super) folders: BTreeMap<String, PathBuf>,
    /// A Dockerfile that came by stdin, in place of the folder `dockerfile`.
    pub(super) dockerfile: Option<Vec<u8>>,
    /// Secrets by ID.
    pub(super) secrets: Vec<Secret>,
    /// Accounts at registries.
    pub(super) config: Config,
}

/// A session, until it is dropped.
pub(super) struct Session {
    id: String,
    serving: JoinHandle<()>,
}

impl Session {
    /// Opens a session with the engine and serves what is offered.
    pub(super) async fn open(engine: &Engine, offer: Offer) -> Result<Self, Failure> {
        let id = identity::new();
        let shared_key = shared_key(offer.folders.get("context").map(PathBuf::as_path));
        let request = engine
            .post("/session")
            .header("x-docker-expose-session-uuid", &id)
            .header("x-docker-expose-session-name", "ferry")
            .header("x-docker-expose-session-sharedkey", &shared_key);
        let request = METHODS.iter().fold(request, |request, method| {
            request.header("x-docker-expose-session-grpc-method", method)
        });
        let (_, stream) = request.upgrade("h2c").await?;
        let files = file_sync::FileSync::new(offer.folders, offer.dockerfile)?;
        let routes = Routes::new(HealthServer::new(health::Health))
            .add_service(
                FileSyncServer::new(files)
                    .max_decoding_message_size(channel::LARGEST_MESSAGE)
                    .max_encoding_message_size(channel::LARGEST_MESSAGE),
            )
            .add_service(AuthServer::new(auth::Auth::new(offer.config)))
            .add_service(SecretsServer::new(secrets::Secrets::new(offer.secrets)));
        let serving = tokio::spawn(async move {
            // How it ends is told by the build, which needs it.
            let _ = channel::serve(stream.into_inner(), routes).await;
        });
        Ok(Self { id, serving })
    }

    /// Its name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Names this machine and folder, so that the engine sends for only what changed since the last build of it.
fn shared_key(context: Option<&Path>) -> String {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let folder = context.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let mut hash = Sha256::new();
    hash.update(machine.trim_ascii());
    hash.update([0]);
    hash.update(folder.unwrap_or_default().as_os_str().as_encoded_bytes());
    identity::hex(&hash.finalize())
}
