//! The graph: vertices that make file systems, each named by the digest of what it is.

use std::collections::HashMap;

use ferry_oci::{Digest, History, ImageConfig, Platform, Reference};
use serde::Serialize;

use crate::mode::ModeChange;
use crate::{MountAccess, Source, StepNetwork, VertexId};

/// A vertex's place in its [`Graph`]. Inputs come before what builds on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeIndex(pub(crate) usize);

/// A file system: what a vertex gives, or nothing (`scratch`).
pub(crate) type RootRef = Option<NodeIndex>;

/// An image as it is wanted: for one platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct ImageKey {
    pub(crate) reference: Reference,
    pub(crate) platform: Platform,
}

/// All vertices of a build, each once, whatever number of platforms and stages need it.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    by_id: HashMap<VertexId, NodeIndex>,
}

/// One vertex: makes a file system from others.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: VertexId,
    /// `[linux/arm64 build 2/5] RUN make`.
    pub(crate) name: String,
    pub(crate) op: Op,
    /// The file system that it changes.
    pub(crate) parent: RootRef,
    /// Other file systems that it reads.
    pub(crate) sources: Vec<RootRef>,
    /// Platform of the file system.
    pub(crate) platform: Platform,
    pub(crate) cache: CachePolicy,
    /// The instruction.
    pub(crate) source: Source,
}

/// Whether results of earlier builds may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum CachePolicy {
    Use,
    Ignore,
}

/// What a vertex does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum Op {
    /// Takes an image's layers; `manifest` pins it.
    Image {
        key: ImageKey,
        manifest: Digest,
    },
    Run(RunOp),
    Copy(CopyOp),
    MakeDirectory(MakeDirectoryOp),
}

/// Runs a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RunOp {
    pub(crate) args: Vec<String>,
    /// `NAME=value`, each name once.
    pub(crate) env: Vec<String>,
    /// Proxies: given to the process, part of no key.
    #[serde(skip)]
    pub(crate) proxies: Vec<String>,
    pub(crate) working_dir: String,
    pub(crate) user: String,
    pub(crate) network: StepNetwork,
    pub(crate) mounts: Vec<RunMount>,
    pub(crate) script: Option<Script>,
}

/// A heredoc that begins with `#!`, mounted as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Script {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A mount of a RUN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunMount {
    /// Absolute path.
    pub(crate) target: String,
    pub(crate) kind: MountKind,
}

/// What a mount of a RUN shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum MountKind {
    Bind {
        from: SourceRoot,
        /// Which of the vertex's sources.
        input: usize,
        path: String,
        access: MountAccess,
    },
    Cache {
        id: String,
        path: String,
        sharing: Sharing,
        mode: u32,
        uid: u32,
        gid: u32,
        access: MountAccess,
    },
    /// A file or a variable that the client holds; what is in it is part of no key.
    Secret {
        id: String,
        place: SecretPlace,
        variable: Option<String>,
        presence: Presence,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Tmpfs {
        size_bytes: Option<u64>,
    },
}

/// Whether a secret is a file of the step, besides a variable that it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum SecretPlace {
    File,
    Variable,
}

/// What becomes of a step whose secret the client does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Presence {
    /// It runs without.
    Optional,
    /// It fails.
    Required,
}

/// How steps that run at the same time use a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Sharing {
    Shared,
    Private,
    Locked,
}

/// Copies files into a file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CopyOp {
    pub(crate) from: SourceRoot,
    pub(crate) sources: Vec<CopySource>,
    /// Absolute; a trailing slash means a directory.
    pub(crate) destination: String,
    /// `--chown`, resolved in the file system that is copied to.
    pub(crate) owner: Option<String>,
    pub(crate) mode: Option<ModeChange>,
    pub(crate) exclude: Vec<String>,
    pub(crate) parents: ParentPaths,
    pub(crate) archives: Archives,
}

/// Where files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum SourceRoot {
    /// The client's files.
    Context,
    /// One of the vertex's sources.
    Root,
}

/// One source of a COPY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum CopySource {
    /// A path, with wildcards.
    Path(String),
    /// A heredoc.
    Inline { name: String, content: String },
}

/// `--parents`: whether a source's own directories are made below the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum ParentPaths {
    Drop,
    Keep,
}

/// Whether local tar archives are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Archives {
    Copy,
    Unpack,
}

/// Makes a directory and its parents, where missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MakeDirectoryOp {
    pub(crate) path: String,
}

/// One platform's image: a file system, a config and a history.
#[derive(Debug)]
pub(crate) struct PlannedImage {
    pub(crate) platform: Platform,
    pub(crate) root: RootRef,
    /// The config without layers and with the base's history only.
    pub(crate) config: ImageConfig,
    pub(crate) history: Vec<PlannedStep>,
}

/// One entry of the history; whether it made a layer is known when its vertex is done.
#[derive(Debug, Clone)]
pub(crate) struct PlannedStep {
    pub(crate) entry: History,
    pub(crate) node: RootRef,
}

impl Graph {
    /// Adds a vertex, or finds the equal one that is there. Two are equal when they do the same to
    /// the same inputs on the same platform, whatever their names and places.
    pub(crate) fn add(&mut self, mut node: Node) -> NodeIndex {
        node.id = self.identify(&node);
        if let Some(index) = self.by_id.get(&node.id) {
            return *index;
        }
        let index = NodeIndex(self.nodes.len());
        self.by_id.insert(node.id, index);
        self.nodes.push(node);
        index
    }

    fn identify(&self, node: &Node) -> VertexId {
        let ids: Vec<Option<String>> = std::iter::once(&node.parent)
            .chain(&node.sources)
            .map(|root| root.map(|index| self[index].id.to_string()))
            .collect();
        // A COPY gives the same on every platform; a process may not.
        let platform = match node.op {
            Op::Run(_) | Op::Image { .. } => Some(node.platform.to_string()),
            Op::Copy(_) | Op::MakeDirectory(_) => None,
        };
        let identity = serde_json::to_vec(&(&node.op, ids, platform, node.cache))
            .expect("ops are plain data, which JSON can always hold");
        VertexId::of(&identity)
    }
}

impl std::ops::Index<NodeIndex> for Graph {
    type Output = Node;

    fn index(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.0]
    }
}
