//! `ferry pull`: gets an image from its registry.

use clap::Args;

use super::reference;
use crate::command::Verb;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;
use crate::transfer::{self, Output, Platforms};

/// `ferry pull`.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// All tags of the name
    #[arg(short, long)]
    all_tags: bool,
    /// CPU to get the image for: linux/arm64, or several with commas
    #[arg(long, value_name = "PLATFORM", env = "DOCKER_DEFAULT_PLATFORM", hide_env = true)]
    platform: Option<String>,
    /// Get the image for all CPUs it has
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,
    /// Do not show how it goes
    #[arg(short, long)]
    quiet: bool,
    /// Image
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Verb for Pull {
    const ABOUT: &'static str = "Get an image from its registry";

    async fn run(self, invocation: &Invocation) -> Outcome {
        if self.all_tags {
            return Err(Failure::new("pulling all tags of a name is not supported").hint("pull each tag by its name"));
        }
        let image = reference(&self.image)?;
        if image.tag().is_none() && image.digest().is_none() && !self.quiet {
            terminal::say("Using default tag: latest")?;
        }
        let platforms = match self.platform.filter(|platform| !platform.is_empty()) {
            Some(platform) => Platforms::Named(platform),
            None if self.all_platforms => Platforms::All,
            None => Platforms::Best,
        };
        let output = if self.quiet { Output::Quiet } else { Output::Stdout };
        transfer::pull_platforms(invocation, &image, &platforms, output)
            .await
            .map_err(|failure| failure.while_doing(format!("cannot pull {}", self.image)))?;
        terminal::say(&image.to_string())?;
        Ok(ExitStatus::SUCCESS)
    }
}
