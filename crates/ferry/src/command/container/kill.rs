//! `ferry kill`: sends a signal to containers.

use clap::Args;

use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry kill`.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Signal to send, KILL if not given
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Kill {
    const ABOUT: &'static str = "Send a signal to containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            engine
                .post(path(name, "kill"))
                .query_opt("signal", self.signal.as_deref())
                .status()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot kill {name}")))?;
            Ok(Said::Name)
        })
        .await
    }
}
