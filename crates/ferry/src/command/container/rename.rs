//! `ferry rename`: gives a container another name.

use clap::Args;

use super::path;
use crate::command::Verb;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry rename`.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Its new name
    #[arg(value_name = "NAME")]
    name: String,
}

impl Verb for Rename {
    const ABOUT: &'static str = "Give a container another name";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let request = invocation.engine()?.post(path(&self.container, "rename"));
        let renamed = request.query("name", &self.name).status().await;
        renamed.map_err(|error| Failure::from(error).while_doing(format!("cannot rename {}", self.container)))?;
        Ok(ExitStatus::SUCCESS)
    }
}
