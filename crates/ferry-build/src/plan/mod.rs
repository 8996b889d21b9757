//! The plan: from a parsed Dockerfile, a request and the base images' configs to a graph of vertices.
//!
//! Planning is pure. Where a base image is needed that is not at hand yet, the plan says which, and is
//! made again when it is there; so the same inputs give the same graph, whatever else goes on.

mod fault;
mod graph;
mod name;
mod needs;
pub(crate) mod paths;
mod planner;
mod predefined;
mod stage;

pub use fault::PlanFault;
pub(crate) use graph::{
    Archives, CachePolicy, CopyOp, CopySource, ImageKey, MakeDirectoryOp, MountKind, Node, NodeIndex, Op, ParentPaths,
    PlannedImage, Presence, RootRef, RunMount, RunOp, Script, SecretPlace, Sharing, SourceRoot,
};
pub(crate) use needs::{Needs, first_needs};
pub(crate) use planner::{Plan, PlanError, Planned, plan};
pub(crate) use predefined::is_proxy;
pub(crate) use stage::StageBuilder;
