//! Makes an image of a container: its image's layers, and one more of what it wrote.

use std::path::PathBuf;
use std::sync::Arc;

use ferry_oci::oci_spec::image::MediaType;
use ferry_oci::{Descriptor, History, ImageConfig, Reference, document, media_type};
use ferry_store::{Committed, Image};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Container, Error, Phase};
use crate::{Engine, image};

/// What to make of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Name of the image; without one it is kept under its id.
    pub name: Option<Reference>,
    /// Who made it.
    pub author: String,
    /// A remark for its history.
    pub comment: String,
    /// Whether a container that runs stands still while its files are read.
    pub pause: bool,
    /// Lines of a Dockerfile that set defaults: CMD, ENV, LABEL and so on.
    pub changes: Vec<String>,
}

impl Engine {
    /// Makes an image of a container, which stays as it is. Durable when this returns. Docker Engine API
    /// `ImageCommit`. Goes on to its end if the caller goes away.
    pub async fn commit_container(&self, wanted: &str, options: CommitOptions) -> Result<Descriptor, Error> {
        let container = self.containers.find(wanted)?;
        let engine = self.clone();
        // Its future is large, for it may build.
        let commit = Box::pin(async move { engine.commit_found(container, options).await });
        tokio::spawn(commit).await?
    }

    async fn commit_found(&self, container: Arc<Container>, options: CommitOptions) -> Result<Descriptor, Error> {
        image::check_changes(&options.changes)?;
        let lease = self.store.lease();
        let base = self.base_of(&container)?;
        let made = self.capture(&container, &options).await?;
        let (engine, committed, about) = (self.clone(), container.clone(), options.clone());
        let platform = container.config.platform.clone();
        let write = move || engine.write_commit(&committed, base, &made, &about);
        let mut target = tokio::task::spawn_blocking(write).await??;
        if !options.changes.is_empty() {
            let changed = self.change_image(&target, &options.changes, Some(&platform)).await?;
            let mut image = self.store.image(&changed, &platform)?;
            // Builds bear a constant time.
            image.config.created = now();
            target = self.write_image(&image.config, image.layers.iter().map(|layer| layer.descriptor.clone()))?;
        }
        let name = options.name.as_ref().map(Reference::familiar).unwrap_or_default();
        let (engine, named) = (self.clone(), target.clone());
        let keep = move || match &options.name {
            Some(name) => engine.set_image_name(name, &named),
            None => engine.keep_nameless(&named),
        };
        tokio::task::spawn_blocking(keep).await??;
        drop(lease);
        let mut attributes = container.attributes();
        attributes.insert("imageID".to_owned(), target.digest().to_string());
        attributes.insert("imageRef".to_owned(), name);
        self.events
            .send("container", "commit", container.id.as_str(), attributes);
        Ok(target)
    }

    /// The container's image, as it was when the container was made of it.
    fn base_of(&self, container: &Container) -> Result<Image, Error> {
        let digest = container.config.manifest;
        let bytes = self.store.content().read(&digest, document::MAX_LEN_BYTES as u64)?;
        let kind = serde_json::from_slice::<serde_json::Value>(&bytes)
            .ok()
            .and_then(|manifest| Some(manifest.get("mediaType")?.as_str()?.to_owned()))
            .unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned());
        let manifest = Descriptor::new(MediaType::from(kind.as_str()), bytes.len() as u64, digest);
        Ok(self.store.image(&manifest, &container.config.platform)?)
    }

    /// Makes a layer of what the container wrote.
    async fn capture(&self, container: &Arc<Container>, options: &CommitOptions) -> Result<Committed, Error> {
        let is_paused = options.pause && container.state().phase == Phase::Running && self.stop_for(container).await?;
        let (engine, snapshot) = (self.clone(), container.snapshot_id()?);
        let capture = move || {
            engine
                .store
                .snapshots()
                .capture(&snapshot, &ferry_store::CommitOptions::default())
        };
        let captured = tokio::task::spawn_blocking(capture).await;
        if is_paused {
            let thawed = self.thaw(container).await;
            crate::folder::remove_file(&self.commit_mark(container));
            match thawed {
                // Its user let it go on, or it was ended, meanwhile.
                Ok(()) | Err(Error::NotPaused(_) | Error::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(captured??)
    }

    /// Freezes it, with a mark by which an engine that comes after this one knows to thaw it. False if it
    /// ended, or its user was faster.
    async fn stop_for(&self, container: &Arc<Container>) -> Result<bool, Error> {
        let mark = self.commit_mark(container);
        match std::fs::write(&mark, []) {
            // With its process went its folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            written => written.map_err(|source| Error::File {
                path: mark.clone(),
                source,
            })?,
        }
        let frozen = self.freeze(container).await;
        if frozen.is_err() {
            crate::folder::remove_file(&mark);
        }
        match frozen {
            Ok(()) => Ok(true),
            Err(Error::AlreadyPaused(_) | Error::NotRunning(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// There while the container stands still for a commit alone.
    pub(super) fn commit_mark(&self, container: &Container) -> PathBuf {
        self.instance.state_dir(container.id.as_str()).join("commit")
    }

    /// Blocking.
    fn write_commit(
        &self,
        container: &Container,
        base: Image,
        made: &Committed,
        options: &CommitOptions,
    ) -> Result<Descriptor, Error> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let mut layers: Vec<Descriptor> = base
            .layers
            .iter()
            .map(|layer| ferry_build::as_oci_layer(&layer.descriptor))
            .collect();
        let mut config = base.config;
        config.created = now();
        config.author = given(&options.author);
        defaults_of(container, &mut config);
        if made.entries > 0 {
            layers.push(self.store.layers().compress(&made.diff_id)?);
            config.rootfs.diff_ids.push(made.diff_id);
        }
        config.history.push(History {
            created: config.created.clone(),
            created_by: Some(container.config.args.join(" ")),
            author: config.author.clone(),
            comment: given(&options.comment),
            empty_layer: made.entries == 0,
        });
        self.write_image(&config, layers)
    }

    /// Writes the documents of an image of one platform, without a name.
    fn write_image(
        &self,
        config: &ImageConfig,
        layers: impl IntoIterator<Item = Descriptor>,
    ) -> Result<Descriptor, Error> {
        let config = self.write_document(media_type::OCI_CONFIG, config)?;
        let layers: Vec<Descriptor> = layers.into_iter().collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config,
            "layers": layers,
        });
        Ok(self.write_document(media_type::OCI_MANIFEST, &manifest)?)
    }
}

/// What containers of the new image do by default: what this one does.
fn defaults_of(container: &Container, config: &mut ImageConfig) {
    let (was, options) = (&container.config, &container.config.options);
    let defaults = &mut config.config;
    if let Some(entrypoint) = &options.entrypoint {
        defaults.entrypoint = Some(entrypoint.clone()).filter(|words| *words != [String::new()]);
        defaults.cmd = None;
    }
    if let Some(command) = options.command.as_ref().filter(|words| !words.is_empty()) {
        defaults.cmd = Some(command.clone());
    }
    if let Some(dir) = &options.working_dir {
        defaults.working_dir.clone_from(dir);
    }
    defaults.env.clone_from(&was.env);
    defaults.user.clone_from(&was.user);
    defaults.labels.clone_from(&was.labels);
    defaults.stop_signal.clone_from(&was.stop_signal);
    defaults.healthcheck.clone_from(&was.healthcheck);
}

fn now() -> Option<String> {
    OffsetDateTime::now_utc().format(&Rfc3339).ok()
}
