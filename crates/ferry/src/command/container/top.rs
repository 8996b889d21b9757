//! `ferry top`: lists the processes of a container.

use bollard_stubs::models::ContainerTopResponse;
use clap::Args;

use super::path;
use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::table;
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// What ps would be given: -ef, aux, -o pid,user,args
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Verb for Top {
    const ABOUT: &'static str = "List the processes of a container";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let options = (!self.options.is_empty()).then(|| self.options.join(" "));
        let list: ContainerTopResponse = invocation
            .engine()?
            .get(path(&self.container, "top"))
            .query_opt("ps_args", options)
            .json()
            .await
            .map_err(|error| {
                Failure::from(error).while_doing(format!("cannot list the processes of {}", self.container))
            })?;
        let lines: Vec<Vec<String>> = list
            .titles
            .into_iter()
            .chain(list.processes.into_iter().flatten())
            .collect();
        terminal::print(&table::render(&lines, terminal::columns())).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}
