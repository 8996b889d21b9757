//! What the gateway says it can do. Clients ask only for what is listed.

use bollard_buildkit_proto::moby::buildkit::v1::apicaps::ApiCap;

/// Capabilities of `LLBBridge`, BuildKit's names (frontend/gateway/pb/caps.go).
const FRONTEND: &[&str] = &[
    "solve.base",
    "return",
    "returnmap",
    "importcaches",
    "proto.refarray",
    "frontend.caps",
    "gateway.solve.metadata",
    "gateway.solve.evaluate",
    "gateway.evaluate",
    "gateway.warnings",
];

/// Capabilities of build graphs that clients look at even when they send none (solver/pb/caps.go).
const GRAPH: &[&str] = &["source.local", "source.image", "platform", "constraints"];

pub(super) fn frontend() -> Vec<ApiCap> {
    FRONTEND.iter().map(|id| enabled(id)).collect()
}

pub(super) fn graph() -> Vec<ApiCap> {
    GRAPH.iter().map(|id| enabled(id)).collect()
}

fn enabled(id: &str) -> ApiCap {
    ApiCap {
        id: id.to_owned(),
        enabled: true,
        ..ApiCap::default()
    }
}
