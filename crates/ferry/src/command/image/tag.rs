//! `ferry tag`: gives an image another name.

use clap::Args;

use super::{path, reference};
use crate::command::Verb;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry tag`.
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Image
    #[arg(value_name = "IMAGE")]
    source: String,
    /// Its new name
    #[arg(value_name = "NAME[:TAG]")]
    target: String,
}

impl Verb for Tag {
    const ABOUT: &'static str = "Give an image another name";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let target = reference(&self.target)?;
        if target.digest().is_some() {
            return Err(Failure::new(format!(
                "cannot tag {}: a name with a digest cannot be given",
                self.target
            )));
        }
        invocation
            .engine()?
            .post(path(&self.source, "tag"))
            .query("repo", target.name())
            .query("tag", target.tag().unwrap_or("latest"))
            .status()
            .await?;
        Ok(ExitStatus::SUCCESS)
    }
}
