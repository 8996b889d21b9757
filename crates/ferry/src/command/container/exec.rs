//! `ferry exec`: runs another process in a container that runs.

use std::path::PathBuf;

use bollard_stubs::models::ExecConfig;
use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::options::read_environment;
use super::{detach_keys, path, start_failure};
use crate::command::Verb;
use crate::engine::Engine;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::stream::{Attachment, Ending, Resizable, Shape, connect, follow_size};
use crate::terminal::{self, raw::Raw};

/// `ferry exec`.
#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Run it in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep stdin open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set an environment variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the environment variables that a file lists
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// User and group: names or numbers
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Give it all capabilities
    #[arg(long)]
    privileged: bool,
    /// Keys that leave the process running: ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Container, and the command to run in it
    #[arg(value_name = "CONTAINER", required = true, num_args = 2.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

#[derive(Deserialize)]
struct Ended {
    #[serde(rename = "Running", default)]
    running: bool,
    #[serde(rename = "ExitCode")]
    exit_code: Option<i64>,
}

impl Verb for Exec {
    const ABOUT: &'static str = "Run another process in a container that runs";
    const USAGE_STATUS: ExitStatus = ExitStatus::ENGINE;

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let Some((container, command)) = self.words.split_first() else {
            return Err(Failure::new("missing CONTAINER and COMMAND").exit(ExitStatus::ENGINE));
        };
        let attach_stdin = self.interactive && !self.detach;
        if self.tty && attach_stdin && !terminal::stdin_is_one() {
            return Err(
                Failure::new("-t needs a terminal, and stdin is none").hint("leave -t out, or run it from a terminal")
            );
        }
        let keys = detach_keys(self.detach_keys.as_deref(), invocation)?;
        let size = terminal::size().filter(|_| self.tty);
        let console = size.map(|size| vec![usize::from(size.rows), usize::from(size.columns)]);
        let variables = read_environment(&self.env_file, &self.env)?;
        let config = ExecConfig {
            attach_stdin: Some(attach_stdin),
            attach_stdout: Some(!self.detach),
            attach_stderr: Some(!self.detach),
            console_size: console.clone(),
            detach_keys: self.detach_keys.clone(),
            tty: Some(self.tty),
            env: (!variables.is_empty()).then_some(variables),
            cmd: Some(command.to_vec()),
            privileged: Some(self.privileged),
            user: self.user.clone(),
            working_dir: self.workdir.clone(),
        };
        let created: Created = engine
            .post(path(container, "exec"))
            .json_body(&config)
            .json()
            .await
            .map_err(|error| Failure::from(error).exit(ExitStatus::FAILURE))?;
        let start = engine.post(format!("/exec/{}/start", created.id)).json_body(&json!({
            "Detach": self.detach,
            "Tty": self.tty,
            "ConsoleSize": console,
        }));
        if self.detach {
            start.status().await.map_err(start_failure)?;
            return Ok(ExitStatus::SUCCESS);
        }
        let (_, stream) = start.upgrade("tcp").await.map_err(start_failure)?;
        let raw = (self.tty && attach_stdin)
            .then(Raw::enter)
            .transpose()
            .explain(|| "cannot set the terminal up")?;
        let attachment = Attachment {
            shape: Shape::of_tty(self.tty),
            stdin: attach_stdin,
            detach_keys: (attach_stdin && terminal::stdin_is_one()).then_some(keys),
        };
        let resized = async {
            if self.tty && terminal::stdout_is_one() {
                follow_size(engine, Resizable::Exec(&created.id)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let ending = tokio::select! {
            ending = connect(stream, attachment) => ending,
            () = resized => Ok(Ending::Closed),
        };
        drop(raw);
        match ending? {
            Ending::Closed => exit_status(engine, &created.id).await,
            Ending::Detached => {
                terminal::note("read escape sequence");
                Ok(ExitStatus::SUCCESS)
            }
            Ending::OutputGone => Ok(ExitStatus::of_signal(13)),
        }
    }
}

/// The process's exit status. Its streams close before the engine has it for certain.
async fn exit_status(engine: &Engine, id: &str) -> Outcome {
    let mut pause = std::time::Duration::from_millis(1);
    loop {
        let ended: Ended = engine.get(format!("/exec/{id}/json")).json().await?;
        match ended.exit_code {
            Some(code) if !ended.running => return Ok(ExitStatus::of_container(code)),
            // A daemon that never tells would hold us for ever.
            _ if pause.as_secs() >= 2 => {
                return Err(Failure::new("the engine did not tell how the process ended"));
            }
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
