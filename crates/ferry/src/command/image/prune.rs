//! `ferry image prune`: removes images that nothing uses.

use clap::Args;

use crate::command::Verb;
use crate::command::container::ps::filters;
use crate::command::system::prune::{PruneFlags, Pruned, agrees, reclaimed};
use crate::failure::{ExitStatus, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry image prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Remove those with a name too
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl Verb for Prune {
    const ABOUT: &'static str = "Remove images that nothing uses";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let question = if self.all {
            "This removes all images without a container."
        } else {
            "This removes all images without a name."
        };
        if !agrees(self.flags.force, question)? {
            return Ok(ExitStatus::SUCCESS);
        }
        let mut flags = self.flags.filter;
        flags.push(format!("dangling={}", !self.all));
        let pruned: Pruned = invocation
            .engine()?
            .post("/images/prune")
            .query_opt("filters", filters(&flags)?)
            .json()
            .await?;
        for item in &pruned.images {
            if let Some(name) = &item.untagged {
                terminal::say(&format!("untagged: {name}"))?;
            }
            if let Some(id) = &item.deleted {
                terminal::say(&format!("deleted: {id}"))?;
            }
        }
        terminal::say(&reclaimed(pruned.bytes))?;
        Ok(ExitStatus::SUCCESS)
    }
}
