//! `ferry logout`: forgets an account at a registry.

use clap::Args;

use super::domain;
use crate::command::Verb;
use crate::config::Config;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Registry [default: Docker Hub]
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl Verb for Logout {
    const ABOUT: &'static str = "Log out of a registry";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let domain = domain(self.registry.as_deref());
        let mut config = Config::read(&invocation.config_folder()).explain(|| "cannot forget the account")?;
        let found = config.forget(&domain).explain(|| "cannot forget the account")?;
        terminal::say(&if found {
            format!("Removed the account for {domain}")
        } else {
            format!("Not logged in to {domain}")
        })?;
        Ok(ExitStatus::SUCCESS)
    }
}
