//! Makes an image of one layer from the tar of a file system.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ferry_build::{BuildRequest, Context, ContextFile, ContextFilter, ErrorClass, PortError};
use ferry_oci::oci_spec::image::MediaType;
use ferry_oci::{Descriptor, Digest, History, ImageConfig, Platform, Reference, RootFs, media_type};
use ferry_registry::Anonymous;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Error;
use super::names::dangling;
use crate::Engine;
use crate::build::BuildOrder;

/// What to make of a tar.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Name of the image; without one it is kept under its id.
    pub name: Option<Reference>,
    /// The platform that its files are made for; the host's when absent.
    pub platform: Option<Platform>,
    /// A remark for its history.
    pub message: String,
    /// Lines of a Dockerfile that set defaults: CMD, ENV, LABEL and so on.
    pub changes: Vec<String>,
}

impl Engine {
    /// Makes an image of the tar that `tar` gives, plain, gzip or zstd. Durable when this returns.
    ///
    /// The same tar gives the same digest on every day: the image bears a constant time, as builds do.
    pub async fn import_image<R>(&self, tar: R, options: ImportOptions) -> Result<Descriptor, Error>
    where
        R: Read + Send + 'static,
    {
        let lease = self.store.lease();
        let (base, options) = self
            .blocking(move |engine| Ok((engine.import_tar(tar, &options)?, options)))
            .await?;
        let target = match &options.changes[..] {
            [] => base,
            changes => self.change_image(&base, changes, options.platform.as_ref()).await?,
        };
        self.blocking(move |engine| {
            match &options.name {
                Some(name) => engine.set_image_name(name, &target)?,
                None => engine.keep_nameless(&target)?,
            }
            let name = options.name.as_ref().map(Reference::familiar);
            engine.image_event("import", &target, &name.unwrap_or_default())?;
            drop(lease);
            Ok(target)
        })
        .await
    }

    /// Stores the layer and its documents, without a name.
    fn import_tar(&self, tar: impl Read, options: &ImportOptions) -> Result<Descriptor, Error> {
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
        self.write_document(media_type::OCI_MANIFEST, &manifest)
    }

    /// Builds `base` with further lines of a Dockerfile; `base` itself is not kept.
    pub(crate) async fn change_image(
        &self,
        base: &Descriptor,
        changes: &[String],
        platform: Option<&Platform>,
    ) -> Result<Descriptor, Error> {
        let name = dangling(base)?;
        let dockerfile = dockerfile(&name, changes)?;
        let mut request = BuildRequest::new(Platform::host());
        request.platforms.extend(platform.cloned());
        request.dockerfile_name = "changes".to_owned();
        let order = BuildOrder {
            request,
            context: Arc::new(Lines(dockerfile)),
            credentials: Arc::new(Anonymous),
        };
        self.keep_nameless(base)?;
        // Nobody watches; a channel without a reader is no hindrance to the builder.
        let (events, _) = tokio::sync::mpsc::channel(1);
        let built = Box::pin(self.build(order, events)).await;
        self.remove_image_names(&self.hold_names(), &[name])?;
        Ok(built.map_err(Box::new)?.target.clone())
    }

    /// Writes a document of an image, and describes it.
    pub(crate) fn write_document(&self, kind: &str, document: &impl serde::Serialize) -> Result<Descriptor, Error> {
        let bytes = serde_json::to_vec(document).map_err(Error::Serialize)?;
        let digest: Digest = self.store.content().write(&bytes)?;
        Ok(Descriptor::new(MediaType::from(kind), bytes.len() as u64, digest))
    }
}

fn constant_time() -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(ferry_build::DEFAULT_EPOCH).ok()?;
    time.format(&Rfc3339).ok()
}

/// The instructions that set defaults. Source: Docker Engine API `ImageCreate`, parameter `changes`.
const CHANGES: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Refuses what [`Engine::change_image`] would.
pub(crate) fn check_changes(changes: &[String]) -> Result<(), Error> {
    changes.iter().try_for_each(|change| check_change(change))
}

fn check_change(change: &str) -> Result<(), Error> {
    let word = change.split_whitespace().next().unwrap_or_default();
    let is_allowed = CHANGES.iter().any(|allowed| allowed.eq_ignore_ascii_case(word));
    if !is_allowed || change.contains('\n') {
        return Err(Error::NotAChange(change.chars().take(200).collect()));
    }
    Ok(())
}

/// A Dockerfile that makes `changes` to `base`. Each change is one line.
fn dockerfile(base: &Reference, changes: &[String]) -> Result<String, Error> {
    let mut dockerfile = format!("FROM {base}\n");
    for change in changes {
        check_change(change)?;
        dockerfile.push_str(change.trim_end_matches(['\\', ' ', '\t']));
        dockerfile.push('\n');
    }
    Ok(dockerfile)
}

/// A build's files: a Dockerfile and nothing else.
struct Lines(String);

#[async_trait]
impl Context for Lines {
    async fn read(&self, file: ContextFile, limit_bytes: u64) -> Result<Option<Vec<u8>>, PortError> {
        let is_small = self.0.len() as u64 <= limit_bytes;
        Ok((file == ContextFile::Dockerfile && is_small).then(|| self.0.clone().into_bytes()))
    }

    async fn sync(&self, _filter: &ContextFilter) -> Result<PathBuf, PortError> {
        Err(PortError::new(ErrorClass::Invalid, "changes read no files"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_set_defaults_and_nothing_else() {
        let base = Reference::parse("base").expect("a reference");
        let lines = |changes: &[&str]| dockerfile(&base, &changes.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(
            lines(&["CMD [\"sh\"]", "env A=1"]).expect("changes"),
            "FROM docker.io/library/base:latest\nCMD [\"sh\"]\nenv A=1\n"
        );
        for wrong in ["RUN x", "FROM x", "COPY a b", "", "CMD x\nRUN y", "# syntax=x"] {
            assert!(lines(&[wrong]).is_err(), "{wrong:?}");
        }
    }
}
