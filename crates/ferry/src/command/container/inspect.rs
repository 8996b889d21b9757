//! `ferry container inspect`: all that the engine knows of containers.

use clap::Args;

use super::path;
use crate::command::Verb;
use crate::command::system::inspect::{Found, show};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// `ferry container inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Inspect {
    const ABOUT: &'static str = "Show all that is known of containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let mut found = Vec::new();
        for name in &self.containers {
            let answer = engine.get(path(name, "json")).query_if("size", self.size).bytes().await;
            found.push(answer.map(Found::new).map_err(Into::into));
        }
        show(found, self.format.as_deref())
    }
}
