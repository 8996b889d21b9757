//! WORKDIR: a layer with the directory, if it is not there yet.

use super::snapshot::StepSnapshot;
use super::{Root, Solver, StepResult, key};
use crate::StepFailure;
use crate::files::{self, Layout};
use crate::plan::{MakeDirectoryOp, Node};
use crate::progress::{Ending, Told};

impl Solver<'_> {
    pub(super) async fn make_directory(
        &self,
        node: &Node,
        op: &MakeDirectoryOp,
        parent: &Root,
        told: &mut Told<'_>,
    ) -> StepResult {
        let key = key::make_directory(op, parent, self.epoch);
        if let Some(layer) = self.cache.get(&key, node.cache) {
            return Ok((parent.with(layer), Ending::Cached));
        }
        told.begin().await;
        let (store, layers, path) = (self.ports.store.clone(), parent.layers.clone(), op.path.clone());
        let epoch = self.epoch;
        let layer = crate::blocking::run(move || {
            let snapshot = StepSnapshot::prepare(&store, &layers)?;
            let lower = snapshot.lower()?;
            let mut layout = Layout::new(&lower, epoch);
            layout.make_directory(&path)?;
            if layout.entries().is_empty() {
                return Ok(None);
            }
            files::write(&layout, &snapshot.overlay.upper)?;
            Ok::<_, StepFailure>(Some(snapshot.commit(epoch)?))
        })
        .await?;
        self.cache.put(key, &node.name, layer);
        Ok((parent.with(layer), Ending::Done))
    }
}
