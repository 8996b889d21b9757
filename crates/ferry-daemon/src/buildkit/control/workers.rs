//! `Control.ListWorkers` and `Control.Info`: what this builder is and which platforms it builds for.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::types::{BuildkitVersion, WorkerRecord};
use bollard_buildkit_proto::pb;
use ferry_oci::Platform;

use crate::buildkit::BuildKit;

/// The label whose presence tells buildx that several platforms, OCI output and cache export can be had.
const SNAPSHOTTER_LABEL: &str = "org.mobyproject.buildkit.worker.snapshotter";
/// The release of the protocol that is spoken: clients compare it as a semantic version.
const PROTOCOL_VERSION: &str = "v0.25.0";

/// The one worker there is.
pub(crate) fn record(buildkit: &BuildKit) -> WorkerRecord {
    let labels = [
        (SNAPSHOTTER_LABEL, "overlayfs"),
        ("org.mobyproject.buildkit.worker.executor", "oci"),
        ("org.mobyproject.buildkit.worker.moby.host-gateway-ip", ""),
    ];
    WorkerRecord {
        id: "ferry".to_owned(),
        labels: labels
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<HashMap<_, _>>(),
        platforms: platforms(buildkit),
        buildkit_version: Some(version()),
        ..WorkerRecord::default()
    }
}

/// What clients take for BuildKit's version.
pub(super) fn version() -> BuildkitVersion {
    BuildkitVersion {
        package: "ferry".to_owned(),
        version: PROTOCOL_VERSION.to_owned(),
        revision: concat!("ferry-", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// The host's platform first: clients take it for the build's own.
fn platforms(buildkit: &BuildKit) -> Vec<pb::Platform> {
    let host = Platform::host();
    let others = buildkit.engine().runnable_platforms();
    let others = others.into_iter().filter(|platform| *platform != host);
    std::iter::once(host.clone())
        .chain(others)
        .map(|platform| pb::Platform {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant.unwrap_or_default(),
            os_version: platform.os_version.unwrap_or_default(),
            os_features: platform.os_features,
        })
        .collect()
}
