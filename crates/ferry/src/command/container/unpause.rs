//! `ferry unpause`: lets paused containers go on.

use clap::Args;

use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry unpause`.
#[derive(Debug, Args)]
pub(crate) struct Unpause {
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Unpause {
    const ABOUT: &'static str = "Let paused containers go on";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            engine
                .post(path(name, "unpause"))
                .status()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot unpause {name}")))?;
            Ok(Said::Name)
        })
        .await
    }
}
