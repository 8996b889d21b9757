//! `ferry diff`: lists what a container changed in its files.

use bollard_stubs::models::{ChangeType, FilesystemChange};
use clap::Args;

use super::path;
use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Diff {
    const ABOUT: &'static str = "List what a container added, changed and deleted in its files";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let changes: Option<Vec<FilesystemChange>> = invocation
            .engine()?
            .get(path(&self.container, "changes"))
            .json()
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot compare {}", self.container)))?;
        let mut list = String::new();
        for change in changes.into_iter().flatten() {
            let kind = match change.kind {
                ChangeType::_0 => 'C',
                ChangeType::_1 => 'A',
                ChangeType::_2 => 'D',
            };
            list.push_str(&format!("{kind} {}\n", change.path));
        }
        terminal::print(&list).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}
