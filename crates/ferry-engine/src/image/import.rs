//! Makes an image of one layer from the tar of a file system.

use std::io::Read;

use ferry_oci::oci_spec::image::MediaType;
use ferry_oci::{Descriptor, Digest, History, ImageConfig, Platform, Reference, RootFs, media_type};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Error;
use crate::Engine;

/// What to make of a tar.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name of the image; without one it is kept under its id.
    pub name: Option<Reference>,
    /// The platform that its files are made for; the host's when absent.
    pub platform: Option<Platform>,
    /// A remark for its history.
    pub message: String,
}

impl Engine {
    /// Makes an image of the tar that `tar` gives, plain, gzip or zstd. Blocks; durable when this returns.
    ///
    /// The same tar gives the same digest on every day: the image bears a constant time, as builds do.
    pub fn import_image(&self, tar: impl Read, options: &ImportOptions) -> Result<Descriptor, Error> {
        let _lease = self.store.lease();
        let limits = ferry_store::Limits::default();
        let diff_id = self.store.layers().unpack(tar, None, &limits)?;
        let layer = self.store.layers().compress(&diff_id)?;
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let created = constant_time();
        let config = ImageConfig {
            created: created.clone(),
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            rootfs: RootFs {
                diff_ids: vec![diff_id],
                ..RootFs::default()
            },
            history: vec![History {
                created,
                comment: Some(options.message.clone()).filter(|message| !message.is_empty()),
                ..History::default()
            }],
            ..ImageConfig::default()
        };
        let config = self.write_document(media_type::OCI_CONFIG, &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let target = self.write_document(media_type::OCI_MANIFEST, &manifest)?;
        match &options.name {
            Some(name) => self.set_image_name(name, &target)?,
            None => self.keep_nameless(&target)?,
        }
        let name = options.name.as_ref().map(Reference::familiar);
        self.image_event("import", &target, &name.unwrap_or_default())?;
        Ok(target)
    }

    fn write_document(&self, kind: &str, document: &impl serde::Serialize) -> Result<Descriptor, Error> {
        let bytes = serde_json::to_vec(document).map_err(Error::Serialize)?;
        let digest: Digest = self.store.content().write(&bytes)?;
        Ok(Descriptor::new(MediaType::from(kind), bytes.len() as u64, digest))
    }
}

fn constant_time() -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(ferry_build::DEFAULT_EPOCH).ok()?;
    time.format(&Rfc3339).ok()
}
