//! What the builder needs from its surroundings: base images, a way to run a process, the client's files.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use ferry_oci::{Descriptor, DiffId, Digest, ImageConfig, Platform, Reference};
use ferry_store::Store;
use serde::Serialize;

use crate::{ErrorClass, PullPolicy, StepLimits, StepOutput};

/// The surroundings of a build.
#[derive(Clone)]
pub struct Ports {
    /// Where layers, content and the build cache live.
    pub store: Store,
    /// Where base images come from.
    pub images: Arc<dyn Images>,
    /// What runs RUN steps.
    pub runner: Arc<dyn StepRunner>,
    /// The client's files.
    pub context: Arc<dyn Context>,
}

/// Base images.
#[async_trait]
pub trait Images: Send + Sync {
    /// Finds the manifest and config that `reference` means for `platform`; layers may still be missing.
    ///
    /// A reference whose image exists for other platforms only is an error of class
    /// [`ErrorClass::NotFound`] that names them: another platform is never taken in silence.
    async fn resolve(
        &self,
        reference: &Reference,
        platform: &Platform,
        policy: PullPolicy,
        output: &StepOutput,
    ) -> Result<BaseImage, PortError>;

    /// Makes all layers of `image` present in the store. Called when a step needs them, and before the
    /// result is written; costs nothing when they are there.
    async fn fetch(&self, image: &BaseImage, output: &StepOutput) -> Result<(), PortError>;
}

/// A base image for one platform.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// The reference it was found by.
    pub reference: Reference,
    /// What the reference pointed at: an index, or the manifest itself. Shown as `name@digest`.
    pub target: Descriptor,
    /// The digest of the manifest.
    pub manifest: Digest,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, bottom first: the DiffID and the compressed blob's descriptor, reused in the result as it is.
    pub layers: Vec<(DiffId, Descriptor)>,
}

/// Runs the process of a RUN step.
#[async_trait]
pub trait StepRunner: Send + Sync {
    /// Runs `step` until its process ends and returns the exit code; 128 + n after signal n.
    ///
    /// The root is an overlay of `step.root`, and what the process changes is left in `root.upper`.
    /// The mount is gone when this returns. Whatever the runner had to create in the root to mount
    /// upon may stay: the builder removes empty mount points that were not there before.
    /// Dropping the future ends the process, with all its children, and the mount, soon.
    ///
    /// An error means that the process could not be started: a missing command has the class
    /// [`ErrorClass::Invalid`], a missing emulator [`ErrorClass::Unavailable`] with a hint.
    async fn run(&self, step: &Step, output: &StepOutput) -> Result<i32, PortError>;
}

/// A process to run for a RUN step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Names the step's snapshot; unique, and fit for a container id.
    pub id: String,
    /// The root: lower layers and the upper directory that takes the changes.
    pub root: ferry_store::Overlay,
    /// CPU that the files of the root are made for.
    pub platform: Platform,
    /// The command; not empty.
    pub args: Vec<String>,
    /// `NAME=value`, each name once; PATH is always there.
    pub env: Vec<String>,
    /// Absolute; it exists or is created with the snapshot.
    pub working_dir: String,
    /// `user[:group]` as in an image config; resolved inside the root. Empty means root.
    pub user: String,
    /// Network.
    pub network: StepNetwork,
    /// Further mounts, in order.
    pub mounts: Vec<StepMount>,
    /// Names and limits.
    pub limits: StepLimits,
    /// The vertex's name, for logs and process titles.
    pub name: String,
}

/// The network of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub enum StepNetwork {
    /// The engine's default: a bridge with a way out.
    #[default]
    Default,
    /// Loopback alone.
    None,
    /// The host's.
    Host,
}

/// A mount of a RUN step.
#[derive(Debug, Clone)]
pub struct StepMount {
    /// Absolute path inside the root; resolved inside it, created where missing.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
}

/// What a step's mount shows.
#[derive(Debug, Clone)]
pub enum MountSource {
    /// A file or directory of the host that the builder owns: a cache, a script, or what a stage, an
    /// image or the context holds. It may lie within a layer, which must never be written to.
    Host {
        /// Absolute path.
        path: PathBuf,
        /// Whether the step may write.
        access: MountAccess,
    },
    /// A secret of the client, as a file that only the step sees and that is never kept.
    Secret {
        /// What is in it.
        secret: Secret,
        /// Its permissions.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// An empty tmpfs.
    Tmpfs {
        /// Its size; the kernel's default when absent.
        size_bytes: Option<u64>,
    },
}

/// A secret of the client; its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Wraps what is secret.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// What is secret.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a step may write to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum MountAccess {
    /// It may not.
    ReadOnly,
    /// It may.
    ReadWrite,
}

/// The client's files: the Dockerfile, the ignore files, the build context and secrets.
#[async_trait]
pub trait Context: Send + Sync {
    /// The text of `file`, or `None` where it is missing. More than `limit_bytes` is an error.
    async fn read(&self, file: ContextFile, limit_bytes: u64) -> Result<Option<Vec<u8>>, PortError>;

    /// Makes the files that pass `filter` available below one directory and returns its path.
    ///
    /// The directory may hold other files of the context that the filter excludes; the builder filters
    /// again. It does not change until the [`Context`] is dropped. Owners and times are not used.
    async fn sync(&self, filter: &ContextFilter) -> Result<PathBuf, PortError>;

    /// The client's secret of that id, or `None` where it has none.
    async fn secret(&self, _id: &str) -> Result<Option<Secret>, PortError> {
        Ok(None)
    }
}

/// A file that steers the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextFile {
    /// The Dockerfile.
    Dockerfile,
    /// `<Dockerfile>.dockerignore`, beside it.
    DockerfileIgnore,
    /// `.dockerignore` at the context's root.
    Ignore,
}

/// Which files of the context a build reads; the fields mean what FileSync's keys of these names mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextFilter {
    /// `followpaths`: only these, with wildcards, and what symbolic links among them point at; empty means all.
    pub follow_paths: Vec<String>,
    /// `exclude-patterns`: lines of the ignore file.
    pub exclude_patterns: Vec<String>,
}

/// An error of a port's implementation, with the class that clients see.
#[derive(Debug)]
pub struct PortError {
    class: ErrorClass,
    source: Box<dyn Error + Send + Sync>,
}

impl PortError {
    /// Wraps `source`.
    pub fn new(class: ErrorClass, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            class,
            source: source.into(),
        }
    }

    /// Its class.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The implementation's own error, to be downcast.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}
