//! `ferry commit`: makes an image of a container.

use bollard_stubs::models::IdResponse;
use clap::Args;
use ferry_oci::Reference;
use serde_json::json;

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry commit`.
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// Who made it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// Apply a Dockerfile instruction to the image: CMD, ENV, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Note for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Let the container run on meanwhile
    #[arg(long)]
    no_pause: bool,
    /// Freeze the container meanwhile
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, action = clap::ArgAction::Set, value_parser = clap::builder::ValueParser::new(crate::cli::go_bool))]
    pause: bool,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Verb for Commit {
    const ABOUT: &'static str = "Make an image of a container";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let name = self.name.as_deref();
        let name = name.map(Reference::parse).transpose();
        let name = name.explain(|| format!("invalid image name {:?}", self.name.as_deref().unwrap_or_default()))?;
        let pauses = self.pause && !self.no_pause;
        let request = invocation
            .engine()?
            .post("/commit")
            .query("container", &self.container)
            .query_opt("repo", name.as_ref().map(Reference::name))
            .query_opt("tag", name.as_ref().and_then(|name| name.tag()))
            .query_opt("author", self.author.as_deref())
            .query_opt("comment", self.message.as_deref())
            .query("pause", if pauses { "1" } else { "0" });
        let request = self
            .change
            .iter()
            .fold(request, |request, change| request.query("changes", change));
        let made: IdResponse = request
            .json_body(&json!({}))
            .json()
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot commit {}", self.container)))?;
        terminal::say(&made.id)?;
        Ok(ExitStatus::SUCCESS)
    }
}
