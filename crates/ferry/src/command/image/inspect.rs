//! `ferry image inspect`: all that the engine knows of images.

use clap::Args;

use super::path;
use crate::command::Verb;
use crate::command::system::inspect::{Found, show};
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::transfer;

/// `ferry image inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// CPU whose image is meant
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Verb for Inspect {
    const ABOUT: &'static str = "Show all that is known of images";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let platform = self.platform.as_deref().map(transfer::platform_json).transpose()?;
        let mut found = Vec::new();
        for name in &self.images {
            let answer = engine
                .get(path(name, "json"))
                .query_opt("platform", platform.as_deref())
                .bytes()
                .await;
            found.push(answer.map(Found::new).map_err(Into::into));
        }
        show(found, self.format.as_deref())
    }
}
