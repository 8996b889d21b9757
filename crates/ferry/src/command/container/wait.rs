//! `ferry wait`: waits for containers to end and prints their exit statuses.

use bollard_stubs::models::ContainerWaitResponse;
use clap::Args;

use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry wait`.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Wait {
    const ABOUT: &'static str = "Wait for containers to end and print their exit statuses";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            let ended: ContainerWaitResponse = engine
                .post(path(name, "wait"))
                .json()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot wait for {name}")))?;
            if let Some(message) = ended.error.and_then(|error| error.message).filter(|m| !m.is_empty()) {
                return Err(Failure::new(format!("{name} failed: {message}")));
            }
            Ok(Said::Text(ended.status_code.to_string()))
        })
        .await
    }
}
