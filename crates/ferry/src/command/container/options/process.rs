//! Flags about the process: terminal, environment, user, working directory, how it is stopped.

use std::path::PathBuf;

use bollard_stubs::models::ContainerCreateBody;
use clap::Args;

use super::{environment, pairs, some};
use crate::failure::Failure;

/// Flags about the process.
#[derive(Debug, Args)]
pub(crate) struct ProcessOptions {
    /// Keep stdin open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the environment variables that a file lists
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Working directory
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// User and group: names or numbers
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Program to run instead of the image's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Set the labels that a file lists
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Signal that stops it
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds to wait before a stop becomes a kill
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
}

impl ProcessOptions {
    pub(super) fn apply(self, body: &mut ContainerCreateBody, proxies: Vec<(String, String)>) -> Result<(), Failure> {
        let mut variables = environment::read_environment(&self.env_file, &self.env)?;
        environment::set_variables(&mut variables, proxies);
        let mut labels = environment::read_environment(&self.label_file, &[])?;
        labels.extend(self.label);
        body.tty = Some(self.tty);
        body.open_stdin = Some(self.interactive);
        body.env = some(variables);
        body.working_dir = self.workdir;
        body.user = self.user;
        // An empty one clears the image's.
        body.entrypoint = self.entrypoint.map(|program| vec![program]);
        body.labels = (!labels.is_empty()).then(|| pairs(&labels));
        body.stop_signal = self.stop_signal;
        body.stop_timeout = self.stop_timeout;
        Ok(())
    }
}
