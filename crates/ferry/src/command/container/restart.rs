//! `ferry restart`: stops containers and starts them again.

use clap::Args;

use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry restart`.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Signal to stop it with
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Seconds to wait before killing; -1 to wait for ever
    #[arg(
        short,
        long,
        visible_alias = "timeout",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    time: Option<i64>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Restart {
    const ABOUT: &'static str = "Stop containers and start them again";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            engine
                .post(path(name, "restart"))
                .query_opt("signal", self.signal.as_deref())
                .query_opt("t", self.time.map(|seconds| seconds.to_string()))
                .status()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot restart {name}")))?;
            Ok(Said::Name)
        })
        .await
    }
}
