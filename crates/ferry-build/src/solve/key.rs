//! Keys of steps: all that a step's result depends on, and nothing else.

use ferry_oci::Digest;

use super::Root;
use crate::key::KeyHasher;
use crate::plan::{CopyOp, MakeDirectoryOp, Node, RunOp};

/// A key's beginning: the kind of step, the layers it builds on, and the time that its layer will bear.
fn begin(kind: &str, parent: &Root, epoch: i64) -> KeyHasher {
    let mut key = KeyHasher::new(kind);
    layers(&mut key, parent);
    key.text(&epoch.to_string());
    key
}

fn layers(key: &mut KeyHasher, root: &Root) {
    key.list(root.layers.iter().map(|layer| layer.0.hex()));
}

fn op(key: &mut KeyHasher, op: &impl serde::Serialize) {
    let text = serde_json::to_vec(op).expect("ops are plain data, which JSON can always hold");
    key.bytes(&text);
}

/// The key of a RUN: a process may look at everything it is given.
pub(super) fn run(node: &Node, run: &RunOp, parent: &Root, sources: &[Root], epoch: i64) -> Digest {
    let mut key = begin("run", parent, epoch);
    key.text(&node.platform.to_string());
    op(&mut key, run);
    for source in sources {
        layers(&mut key, source);
    }
    key.finish()
}

/// The quick key of a COPY: known without looking at what it is copied onto.
pub(super) fn copy(copy: &CopyOp, parent: &Root, input: &Digest, epoch: i64) -> Digest {
    let mut key = begin("copy", parent, epoch);
    op(&mut key, copy);
    key.text(&input.to_string());
    key.finish()
}

/// What a COPY from another file system takes.
pub(super) fn root(source: &Root) -> Digest {
    let mut key = KeyHasher::new("root");
    layers(&mut key, source);
    key.finish()
}

/// The key of a WORKDIR.
pub(super) fn make_directory(make: &MakeDirectoryOp, parent: &Root, epoch: i64) -> Digest {
    let mut key = begin("directory", parent, epoch);
    op(&mut key, make);
    key.finish()
}

/// The key of a laid out layer: equal layouts are equal layers, whatever they lie on.
pub(super) fn layout(layout: &Digest) -> Digest {
    let mut key = KeyHasher::new("layer of layout");
    key.text(&layout.to_string());
    key.finish()
}
