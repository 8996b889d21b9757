//! `ferry builder prune`: empties the build cache.

use clap::Args;

use crate::command::Verb;
use crate::command::container::ps::filters;
use crate::command::system::prune::{PruneFlags, Pruned, agrees, reclaimed};
use crate::failure::{ExitStatus, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry builder prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Remove what images have too, cache mounts, and build contexts
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl Verb for Prune {
    const ABOUT: &'static str = "Empty the build cache";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let question = if self.all {
            "This removes all of the build cache."
        } else {
            "This removes what the build cache holds and no image has."
        };
        if !agrees(self.flags.force, question)? {
            return Ok(ExitStatus::SUCCESS);
        }
        let pruned: Pruned = invocation
            .engine()?
            .post("/build/prune")
            .query_if("all", self.all)
            .query_opt("filters", filters(&self.flags.filter)?)
            .json()
            .await?;
        for id in &pruned.caches {
            terminal::say(id)?;
        }
        terminal::say(&reclaimed(pruned.bytes))?;
        Ok(ExitStatus::SUCCESS)
    }
}
