//! What a build is asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ferry_oci::Platform;

use crate::StepNetwork;

/// The time that layers and configs bear unless SOURCE_DATE_EPOCH is given: 1980-01-02T00:00:00Z.
///
/// A constant, so that a build's digest is the same on every day. Not 0: zip archives, Python wheels
/// among them, cannot hold times before 1980 in any time zone.
pub const DEFAULT_EPOCH: i64 = 315_619_200;

/// A build: one Dockerfile, one context, some platforms.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The Dockerfile's name as the user gave it, for messages.
    pub dockerfile_name: String,
    /// Platforms to build for, in the order of the result's index; empty means the host's.
    pub platforms: Vec<Platform>,
    /// Where build steps without a platform of their own run (`BUILDPLATFORM`); the host's.
    pub build_platform: Platform,
    /// The stage to build (`--target`), by name or number; the last one when absent.
    pub target: Option<String>,
    /// `--build-arg`; `SOURCE_DATE_EPOCH` among them sets the time that layers bear.
    pub build_args: BTreeMap<String, String>,
    /// `--label`: set on the result, after the Dockerfile's own.
    pub labels: BTreeMap<String, String>,
    /// Whether finished steps may be used again.
    pub cache: CacheUse,
    /// When base images are asked for at their registry.
    pub pull: PullPolicy,
    /// `--network`: what RUN steps get that name none themselves.
    pub network: StepNetwork,
    /// Names and limits of RUN steps. None of these is part of a cache key, as in BuildKit.
    pub limits: StepLimits,
    /// What is stored as the result.
    pub form: Form,
}

/// Whether finished steps may be used again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// Every step may.
    #[default]
    All,
    /// No step may (`--no-cache`); what is made is kept for later builds.
    None,
    /// All but those of the named stages (`--no-cache-filter`).
    Except(Vec<String>),
}

/// When base images are asked for at their registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Only if the store lacks them.
    #[default]
    IfMissing,
    /// Always (`--pull`).
    Always,
    /// Never.
    Never,
}

/// What a build stores as its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// A manifest for one platform, an index for several.
    #[default]
    ByPlatforms,
    /// An index even for one platform.
    Index,
}

/// Names and limits of RUN steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepLimits {
    /// Host name inside; the runner's default when absent.
    pub hostname: Option<String>,
    /// `--add-host`: lines of /etc/hosts.
    pub hosts: Vec<(String, IpAddr)>,
    /// Size of /dev/shm.
    pub shm_size_bytes: Option<u64>,
    /// `--ulimit`: name, soft, hard.
    pub ulimits: Vec<(String, u64, u64)>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
}

impl BuildRequest {
    /// A request with defaults for everything but the host's platform.
    pub fn new(build_platform: Platform) -> Self {
        Self {
            dockerfile_name: "Dockerfile".to_owned(),
            platforms: Vec::new(),
            build_platform,
            target: None,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            cache: CacheUse::default(),
            pull: PullPolicy::default(),
            network: StepNetwork::default(),
            limits: StepLimits::default(),
            form: Form::default(),
        }
    }
}
