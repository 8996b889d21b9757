//! `ferry container prune`: removes containers that have ended.

use clap::Args;

use super::ps::filters;
use crate::command::Verb;
use crate::command::system::prune::{PruneFlags, Pruned, agrees, reclaimed};
use crate::failure::{ExitStatus, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry container prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    flags: PruneFlags,
}

impl Verb for Prune {
    const ABOUT: &'static str = "Remove containers that have ended";

    async fn run(self, invocation: &Invocation) -> Outcome {
        if !agrees(self.flags.force, "This removes all containers that have ended.")? {
            return Ok(ExitStatus::SUCCESS);
        }
        let pruned: Pruned = invocation
            .engine()?
            .post("/containers/prune")
            .query_opt("filters", filters(&self.flags.filter)?)
            .json()
            .await?;
        for id in &pruned.containers {
            terminal::say(id)?;
        }
        terminal::say(&reclaimed(pruned.bytes))?;
        Ok(ExitStatus::SUCCESS)
    }
}
