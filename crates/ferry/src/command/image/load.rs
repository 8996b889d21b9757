//! `ferry load`: takes images from an archive.

use clap::Args;

use super::import::file_body;
use crate::command::Verb;
use crate::engine::Progress;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;
use crate::transfer::{self, Output};

/// `ferry load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Archive to read instead of stdin
    #[arg(short, long, value_name = "FILE")]
    input: Option<String>,
    /// Take the image of one CPU alone: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Do not show how it goes
    #[arg(short, long)]
    quiet: bool,
}

impl Verb for Load {
    const ABOUT: &'static str = "Take images from an archive";

    async fn run(self, invocation: &Invocation) -> Outcome {
        if self.input.is_none() && terminal::stdin_is_one() {
            return Err(Failure::new("there is nothing to load: stdin is a terminal")
                .hint("name an archive: ferry load -i FILE"));
        }
        let platform = self.platform.as_deref().map(transfer::platform_json).transpose()?;
        let body = file_body(self.input.as_deref().unwrap_or("-")).await?;
        let quiet = self.quiet || !terminal::stdout_is_one();
        let lines = invocation
            .engine()?
            .post("/images/load")
            .query("quiet", if quiet { "1" } else { "0" })
            .query_opt("platform", platform)
            .body("application/x-tar", body)
            .lines::<Progress>()
            .await?;
        transfer::follow(lines, Output::Stdout).await?;
        Ok(ExitStatus::SUCCESS)
    }
}
