//! RUN: a process in a snapshot, whose changes become a layer.

use super::mounts::Mounts;
use super::snapshot::StepSnapshot;
use super::stubs::Stubs;
use super::{Root, Solver, StepResult, key};
use crate::plan::{Node, RunOp};
use crate::progress::{Ending, Told};
use crate::{Step, StepFailure, StepMount};

/// All that a step needs while it runs.
struct Prepared {
    snapshot: StepSnapshot,
    mounts: Mounts,
    stubs: Stubs,
}

impl Solver<'_> {
    pub(super) async fn run_step(
        &self,
        node: &Node,
        op: &RunOp,
        parent: &Root,
        sources: &[Root],
        told: &mut Told<'_>,
    ) -> StepResult {
        let key = key::run(node, op, parent, sources, self.epoch);
        if let Some(layer) = self.cache.get(&key, node.cache) {
            return Ok((parent.with(layer), Ending::Cached));
        }
        let _slot = self.slots.acquire().await;
        told.begin().await;
        let secrets = self.secrets(op).await?;
        let prepared = self.prepare_run(op, parent, sources, secrets.mounts).await?;
        let step = Step {
            id: prepared.snapshot.id().to_owned(),
            root: prepared.snapshot.overlay.clone(),
            platform: node.platform.clone(),
            args: op.args.clone(),
            env: secrets.variables.over(op.env.iter().chain(&op.proxies)),
            working_dir: op.working_dir.clone(),
            user: op.user.clone(),
            network: op.network,
            mounts: prepared.mounts.mounts.clone(),
            limits: self.request.limits.clone(),
            name: node.name.clone(),
        };
        let exit_code = self.ports.runner.run(&step, &told.output()).await?;
        if exit_code != 0 {
            return Err(StepFailure::Exit {
                command: op.args.join(" "),
                exit_code,
            });
        }
        let epoch = self.epoch;
        let layer = crate::blocking::run(move || {
            let lower = prepared.snapshot.lower()?;
            let upper = prepared.snapshot.overlay.upper.clone();
            prepared.stubs.remove(&lower, &upper)?;
            prepared.snapshot.commit(epoch)
        })
        .await?;
        self.cache.put(key, &node.name, Some(layer));
        Ok((parent.with(Some(layer)), Ending::Done))
    }

    async fn prepare_run(
        &self,
        op: &RunOp,
        parent: &Root,
        sources: &[Root],
        secrets: Vec<StepMount>,
    ) -> Result<Prepared, StepFailure> {
        let store = self.ports.store.clone();
        let (wanted, script) = (op.mounts.clone(), op.script.clone());
        let (layers, sources) = (parent.layers.clone(), sources.to_vec());
        crate::blocking::run(move || {
            let mut mounts = Mounts::prepare(&store, &wanted, script.as_ref(), &sources)?;
            mounts.mounts.extend(secrets);
            let snapshot = StepSnapshot::prepare(&store, &layers)?;
            let targets = mounts.mounts.iter().map(|mount| mount.target.as_str());
            let stubs = Stubs::before(&snapshot.lower()?, targets)?;
            Ok(Prepared {
                snapshot,
                mounts,
                stubs,
            })
        })
        .await
    }
}
