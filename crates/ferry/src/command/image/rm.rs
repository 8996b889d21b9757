//! `ferry rmi`: removes images.

use bollard_stubs::models::ImageDeleteResponseItem;
use clap::Args;
use http::StatusCode;

use crate::command::Verb;
use crate::engine::in_path;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;
use crate::{terminal, transfer};

/// `ferry rmi`.
#[derive(Debug, Args)]
pub(crate) struct Rmi {
    /// Remove it though a container that has ended uses it, or it has several names
    #[arg(short, long)]
    force: bool,
    /// Keep its nameless parents
    #[arg(long)]
    no_prune: bool,
    /// Remove the image of one CPU alone
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Verb for Rmi {
    const ABOUT: &'static str = "Remove images";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let platforms = self
            .platform
            .iter()
            .map(|platform| transfer::platform_json(platform))
            .collect::<Result<Vec<_>, _>>()?;
        let mut failed = false;
        // One after another: two names of one image must not race for it.
        for image in &self.images {
            let request = engine
                .delete(format!("/images/{}", in_path(image)))
                .query_if("force", self.force)
                .query_if("noprune", self.no_prune);
            let request = platforms
                .iter()
                .fold(request, |request, platform| request.query("platforms", platform));
            match request.json::<Vec<ImageDeleteResponseItem>>().await {
                Ok(items) => {
                    for item in items {
                        if let Some(name) = item.untagged {
                            terminal::say(&format!("Untagged: {name}"))?;
                        }
                        if let Some(id) = item.deleted {
                            terminal::say(&format!("Deleted: {id}"))?;
                        }
                    }
                }
                Err(error) => {
                    failed |= !(self.force && error.status() == Some(StatusCode::NOT_FOUND));
                    Failure::from(error)
                        .while_doing(format!("cannot remove {image}"))
                        .report();
                }
            }
        }
        if failed {
            Err(Failure::reported())
        } else {
            Ok(ExitStatus::SUCCESS)
        }
    }
}
