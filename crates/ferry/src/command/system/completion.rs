//! `ferry completion`: the script that lets a shell complete this command line.

use clap::Args;
use clap_complete::{Shell, generate};

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::invocation::Invocation;

/// `ferry completion`.
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// Shell to complete in: bash, zsh, fish
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Verb for Completion {
    const ABOUT: &'static str = "Print the completion script of a shell";

    async fn run(self, _: &Invocation) -> Outcome {
        let mut script = Vec::new();
        generate(self.shell, &mut crate::cli::tree(), "ferry", &mut script);
        crate::terminal::print(&String::from_utf8_lossy(&script)).explain(|| "cannot write the script")?;
        Ok(ExitStatus::SUCCESS)
    }
}
