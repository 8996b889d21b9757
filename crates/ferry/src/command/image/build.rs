//! `ferry build`: builds an image from a Dockerfile.

use clap::Args;

use crate::command::Verb;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// `ferry build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Folder
    #[arg(value_name = "PATH")]
    context: String,
}

impl Verb for Build {
    const ABOUT: &'static str = "Build an image from a Dockerfile";

    async fn run(self, _: &Invocation) -> Outcome {
        Err(Failure::new(self.context))
    }
}
