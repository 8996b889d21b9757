//! `ferry daemon`: serves the engine's API until asked to end. Flags are named as dockerd's.

use std::path::PathBuf;

use clap::Args;

use crate::engine;
use crate::entry::{self, DaemonOptions};
use crate::failure::{Explain, Outcome};

/// `ferry daemon`.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    /// Sockets to listen on [default: ferry.sock in the exec root]
    #[arg(short = 'H', long, value_name = "HOST")]
    host: Vec<String>,
    /// Folder of images and records [default: /var/lib/ferry]
    #[arg(long, value_name = "FOLDER")]
    data_root: Option<PathBuf>,
    /// Folder of sockets and locks [default: /run/ferry]
    #[arg(long, value_name = "FOLDER")]
    exec_root: Option<PathBuf>,
    /// Settings
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Leave the session of the command that starts it
    #[arg(long, hide = true)]
    detached: bool,
}

impl Daemon {
    /// One line for the list of commands.
    pub(crate) const ABOUT: &'static str = "Run the engine";

    /// Serves. No [`super::Verb`]: the engine makes its own executor, after its zygote.
    pub(crate) fn serve(self) -> Outcome {
        if self.detached {
            // The terminal's signals and hang-up are for the command that started us, not for the engine.
            rustix::process::setsid().explain(|| "cannot leave the session")?;
        }
        entry::serve(DaemonOptions {
            hosts: self.host,
            data_root: self.data_root.unwrap_or_else(engine::default_data_root),
            exec_root: self.exec_root.unwrap_or_else(engine::default_exec_root),
            config_file: self.config_file,
        })
    }
}
