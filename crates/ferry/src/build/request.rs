//! What a build is asked to do, and its translation to BuildKit's `Control.Solve`.
//!
//! Attributes of the frontend are those of BuildKit `frontend/dockerui/config.go`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, Exporter, SolveRequest};
use ferry_oci::{Platform, Reference};

use super::Secret;

/// Where the files of a build are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Two folders of ours, and the Dockerfile's name in the second.
    Folders {
        context: PathBuf,
        dockerfile: PathBuf,
        name: String,
    },
    /// A Dockerfile that came by stdin, and a context of ours, if there is one.
    Text {
        context: Option<PathBuf>,
        dockerfile: Vec<u8>,
    },
    /// Somewhere that the engine gets itself: a git repository or a URL.
    Remote { url: String, name: String },
}

/// Whether base images are looked up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pull {
    Always,
    Missing,
}

/// What of the cache is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cache {
    All,
    None,
    /// All but these stages.
    Except(Vec<String>),
}

/// Whether the result goes to its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    Yes,
    No,
}

/// What a build is asked to do.
#[derive(Debug)]
pub(crate) struct BuildRequest {
    pub(crate) source: Source,
    pub(crate) tags: Vec<Reference>,
    /// None means the engine's own.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) target: Option<String>,
    pub(crate) cache: Cache,
    pub(crate) pull: Pull,
    pub(crate) push: Push,
    pub(crate) network: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
    /// Attributes that are passed on as they are: shm-size, ulimit, cgroup-parent.
    pub(crate) limits: BTreeMap<&'static str, String>,
}

impl BuildRequest {
    /// The call, for the build `id` with the session `session`.
    pub(super) fn solve(&self, id: &str, session: &str) -> SolveRequest {
        let names: Vec<String> = self.tags.iter().map(ToString::to_string).collect();
        let mut attributes = HashMap::new();
        if !names.is_empty() {
            attributes.insert("name".to_owned(), names.join(","));
        }
        if self.push == Push::Yes {
            attributes.insert("push".to_owned(), "true".to_owned());
        }
        SolveRequest {
            r#ref: id.to_owned(),
            session: session.to_owned(),
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: self.frontend_attributes(),
            // The engine's own store, under the name that engines with and without containerd take.
            exporters: vec![Exporter {
                r#type: "moby".to_owned(),
                attrs: attributes,
            }],
            cache: Some(CacheOptions::default()),
            ..SolveRequest::default()
        }
    }

    fn frontend_attributes(&self) -> HashMap<String, String> {
        let mut attributes = HashMap::new();
        let mut set = |key: &str, value: String| {
            attributes.insert(key.to_owned(), value);
        };
        match &self.source {
            Source::Folders { name, .. } => set("filename", name.clone()),
            Source::Text { .. } => set("filename", "Dockerfile".to_owned()),
            Source::Remote { url, name } => {
                set("context", url.clone());
                set("filename", name.clone());
            }
        }
        for (name, value) in &self.arguments {
            set(&format!("build-arg:{name}"), value.clone());
        }
        for (name, value) in &self.labels {
            set(&format!("label:{name}"), value.clone());
        }
        if !self.platforms.is_empty() {
            let platforms: Vec<String> = self.platforms.iter().map(ToString::to_string).collect();
            set("platform", platforms.join(","));
        }
        if let Some(target) = &self.target {
            set("target", target.clone());
        }
        match &self.cache {
            Cache::All => {}
            Cache::None => set("no-cache", String::new()),
            Cache::Except(stages) => set("no-cache", stages.join(",")),
        }
        if self.pull == Pull::Always {
            set("image-resolve-mode", "pull".to_owned());
        }
        if let Some(network) = &self.network {
            set("force-network-mode", network.clone());
        }
        if !self.hosts.is_empty() {
            set("add-hosts", self.hosts.join(","));
        }
        for (name, value) in &self.limits {
            set(name, value.clone());
        }
        attributes
    }

    /// Folders that the engine may ask for, by the names that the frontend knows them by.
    pub(super) fn folders(&self) -> BTreeMap<String, PathBuf> {
        let mut folders = BTreeMap::new();
        match &self.source {
            Source::Folders {
                context, dockerfile, ..
            } => {
                folders.insert("context".to_owned(), context.clone());
                folders.insert("dockerfile".to_owned(), dockerfile.clone());
            }
            Source::Text { context, .. } => {
                folders.extend(context.iter().map(|context| ("context".to_owned(), context.clone())));
            }
            Source::Remote { .. } => {}
        }
        folders
    }

    /// The Dockerfile of stdin, if that is where it came from.
    pub(super) fn dockerfile(&self) -> Option<Vec<u8>> {
        match &self.source {
            Source::Text { dockerfile, .. } => Some(dockerfile.clone()),
            _ => None,
        }
    }
}
