//! `ferry rm`: removes containers.

use clap::Args;
use http::StatusCode;

use crate::command::{Verb, each, each::Said};
use crate::engine::in_path;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry rm`.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Kill it if it runs; what does not exist is no failure
    #[arg(short, long)]
    force: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Remove a link, not the container
    #[arg(short, long)]
    link: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Rm {
    const ABOUT: &'static str = "Remove containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            let removed = engine
                .delete(format!("/containers/{}", in_path(name)))
                .query_if("force", self.force)
                .query_if("v", self.volumes)
                .query_if("link", self.link)
                .status()
                .await;
            match removed {
                Err(error) if self.force && error.status() == Some(StatusCode::NOT_FOUND) => {
                    crate::terminal::note(&format!("ferry: {error}"));
                    Ok(Said::Nothing)
                }
                Err(error) => Err(Failure::from(error).while_doing(format!("cannot remove {name}"))),
                Ok(_) => Ok(Said::Name),
            }
        })
        .await
    }
}
