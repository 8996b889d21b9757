//! `ferry export`: writes a container's files to an archive.

use std::path::PathBuf;

use clap::Args;

use super::path;
use crate::command::Verb;
use crate::command::image::save;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Archive to write instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Export {
    const ABOUT: &'static str = "Write a container's files to an archive";

    async fn run(self, invocation: &Invocation) -> Outcome {
        save::refuse_terminal(self.output.as_deref(), "export")?;
        let answer = invocation.engine()?.get(path(&self.container, "export")).stream().await;
        let answer =
            answer.map_err(|error| Failure::from(error).while_doing(format!("cannot export {}", self.container)))?;
        save::write(answer.into_body(), self.output.as_deref()).await?;
        Ok(ExitStatus::SUCCESS)
    }
}
