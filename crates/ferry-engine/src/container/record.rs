//! What is kept of a container on disk: written once at create, renamed with it.

use std::collections::BTreeMap;
use std::path::Path;

use ferry_oci::{DiffId, Digest, Healthcheck, Platform};
use ferry_store::record::{self, Record};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Adjustable, Container, ContainerId, ContainerOptions, Error, Phase};

/// What a container was created with, after the image's defaults were merged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerConfig {
    /// What was asked for.
    pub options: ContainerOptions,
    /// The image's id: the digest of its index or manifest. Records of the first engines lack it.
    #[serde(default)]
    pub image: Option<Digest>,
    /// Digest of the image's config.
    #[serde(rename = "image_id")]
    pub config_digest: Digest,
    /// Digest of the image's manifest.
    pub manifest: Digest,
    /// The image's platform.
    pub platform: Platform,
    /// Its layers, bottom first.
    pub layers: Vec<DiffId>,
    /// The whole command; never empty.
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<String>,
    /// Where the command starts.
    pub working_dir: String,
    /// `user[:group]`, empty for root.
    pub user: String,
    /// Host name.
    pub hostname: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the process to stop.
    pub stop_signal: Option<String>,
    /// How to tell whether it is healthy.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// The image's shell, which a check may want.
    #[serde(default)]
    pub shell: Option<Vec<String>>,
}

impl ContainerConfig {
    /// The image's id, as `ferry images` shows it; in an old record, the digest of its config.
    pub fn image_id(&self) -> &Digest {
        self.image.as_ref().unwrap_or(&self.config_digest)
    }

    /// Whether `id` is the beginning of the image's id, or of the digest of its config.
    pub(super) fn is_of_image(&self, id: &str) -> bool {
        let hex = id.strip_prefix("sha256:").unwrap_or(id);
        self.image_id().hex().starts_with(hex) || self.config_digest.hex().starts_with(hex)
    }
}

/// The file `config.json` of a container, version 1.
#[derive(Debug, Serialize, Deserialize)]
struct ContainerRecord {
    id: ContainerId,
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    config: ContainerConfig,
}

impl Record for ContainerRecord {
    const VERSION: u32 = 1;
}

const FILE: &str = "config.json";

impl Container {
    /// Writes the record into `dir`; durable unless the container goes with its process anyway.
    pub(super) fn write_record(&self, dir: &Path, name: &str, adjustable: &Adjustable) -> Result<(), Error> {
        let mut config = self.config.clone();
        config.options.host.adjust(adjustable);
        let contents = ContainerRecord {
            id: self.id.clone(),
            name: name.to_owned(),
            created_at: self.created_at,
            config,
        };
        let _files = self.files();
        if self.state.borrow().phase == Phase::Removed {
            return Err(Error::BeingRemoved(self.id.to_string()));
        }
        let path = dir.join(FILE);
        Ok(record::write(&path, &contents, self.durability())?)
    }

    /// Removes the record in `dir`: from then on the container is gone, whatever happens to the engine.
    pub(super) fn remove_record(&self, dir: &Path) -> Result<(), Error> {
        let _files = self.files();
        Ok(record::remove(&dir.join(FILE), self.durability())?)
    }

    /// Reads the record in `dir`; `None` if there is none.
    pub(super) fn read_record(dir: &Path) -> Result<Option<Self>, Error> {
        let record: Option<ContainerRecord> = record::read(&dir.join(FILE))?;
        Ok(record.map(|record| Self::new(record.id, record.name, record.created_at, record.config)))
    }
}
