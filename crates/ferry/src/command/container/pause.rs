//! `ferry pause`: freezes all processes of containers.

use clap::Args;

use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry pause`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Pause {
    const ABOUT: &'static str = "Freeze all processes of containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            engine
                .post(path(name, "pause"))
                .status()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot pause {name}")))?;
            Ok(Said::Name)
        })
        .await
    }
}
