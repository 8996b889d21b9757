//! `ferry push`: sends an image to its registry.

use clap::Args;

use super::{path, reference};
use crate::command::Verb;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;
use crate::transfer::{self, Output};

/// `ferry push`.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// All tags of the name
    #[arg(short, long)]
    all_tags: bool,
    /// Send the image of one CPU alone: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Do not show how it goes
    #[arg(short, long)]
    quiet: bool,
    /// Image
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Verb for Push {
    const ABOUT: &'static str = "Send an image to its registry";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let image = reference(&self.image)?;
        let tag = match (self.all_tags, image.tag()) {
            (true, _) => None,
            (false, Some(tag)) => Some(tag.to_owned()),
            (false, None) => {
                if !self.quiet {
                    terminal::say("Using default tag: latest")?;
                }
                Some("latest".to_owned())
            }
        };
        let platform = self.platform.as_deref().map(transfer::platform_json).transpose()?;
        let failed = |failure: Failure| failure.while_doing(format!("cannot push {}", self.image));
        let lines = invocation
            .engine()?
            .post(path(&image.name(), "push"))
            .query_opt("tag", tag)
            .query_opt("platform", platform)
            .header("x-registry-auth", &invocation.registry_auth(&image)?)
            .lines()
            .await
            .map_err(|error| failed(error.into()))?;
        let output = if self.quiet { Output::Quiet } else { Output::Stdout };
        transfer::follow(lines, output).await.map_err(failed)?;
        if self.quiet {
            terminal::say(&image.to_string())?;
        }
        Ok(ExitStatus::SUCCESS)
    }
}
