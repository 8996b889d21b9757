//! `ferry run`: makes a container, starts it, and stays with it until it ends.

use std::pin::pin;

use clap::{Args, Command};

use super::create::{create, own_help, proxies};
use super::foreground::{self, Foreground};
use super::options::{ContainerOptions, Streams};
use super::{detach_keys, path, start_failure};
use crate::command::Verb;
use crate::engine::Engine;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::stream::Signals;
use crate::terminal;

/// `ferry run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Run it in the background and print its ID
    #[arg(short, long)]
    detach: bool,
    /// Attach to stdin, stdout or stderr alone
    #[arg(short, long, value_name = "STREAM", value_parser = ["stdin", "stdout", "stderr"], ignore_case = true)]
    attach: Vec<String>,
    /// Pass signals on to the process
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, action = clap::ArgAction::Set, value_parser = clap::builder::ValueParser::new(crate::cli::go_bool))]
    sig_proxy: bool,
    /// Keys that leave the container running: ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    #[command(flatten)]
    options: ContainerOptions,
}

impl Verb for Run {
    const ABOUT: &'static str = "Make a container from an image and run it";
    const USAGE_STATUS: ExitStatus = ExitStatus::ENGINE;

    async fn run(self, invocation: &Invocation) -> Outcome {
        let streams = self.streams()?;
        let tty = self.options.process.tty;
        if tty && streams.stdin && !terminal::stdin_is_one() {
            return Err(Failure::new("-t needs a terminal, and stdin is none")
                .hint("leave -t out, or run it from a terminal")
                .exit(ExitStatus::FAILURE));
        }
        let keys =
            detach_keys(self.detach_keys.as_deref(), invocation).map_err(|failure| failure.exit(ExitStatus::ENGINE))?;
        let auto_remove = self.options.lifecycle.rm;
        let wanted = self
            .options
            .translate(streams, proxies(invocation)?)
            .map_err(|failure| failure.exit(ExitStatus::ENGINE))?;
        let engine = invocation
            .engine()
            .map_err(|failure| failure.exit(ExitStatus::ENGINE))?;
        let mut signals = Signals::catch().explain(|| "cannot watch for signals")?;
        let id = unless_interrupted(engine, &mut signals, create(invocation, wanted)).await?;
        if self.detach {
            engine.post(path(&id, "start")).status().await.map_err(start_failure)?;
            terminal::say(&id)?;
            return Ok(ExitStatus::SUCCESS);
        }
        let foreground = Foreground {
            id: &id,
            tty,
            streams,
            detach_keys: keys,
            pass_signals: self.sig_proxy,
            auto_remove,
        };
        foreground::start(engine, foreground, signals).await
    }

    fn adjust(command: Command) -> Command {
        own_help(command, "[OPTIONS] IMAGE [COMMAND] [ARG...]")
    }
}

impl Run {
    /// The streams to attach: those named; otherwise the outputs, and stdin with `-i`.
    fn streams(&self) -> Result<Streams, Failure> {
        let interactive = self.options.process.interactive;
        if self.detach {
            if !self.attach.is_empty() {
                return Err(Failure::new("-d and -a cannot be given together").exit(ExitStatus::ENGINE));
            }
            return Ok(Streams::default());
        }
        if self.attach.is_empty() {
            return Ok(Streams {
                stdin: interactive,
                stdout: true,
                stderr: true,
            });
        }
        let has = |stream: &str| self.attach.iter().any(|named| named.eq_ignore_ascii_case(stream));
        Ok(Streams {
            stdin: has("stdin") || interactive,
            stdout: has("stdout"),
            stderr: has("stderr"),
        })
    }
}

/// Waits for the container to be made. Interrupted before it is, nothing is left of it.
async fn unless_interrupted(
    engine: &Engine,
    signals: &mut Signals,
    creating: impl Future<Output = Result<String, Failure>>,
) -> Result<String, Failure> {
    let mut creating = pin!(creating);
    let signal = tokio::select! {
        made = &mut creating => return made,
        (number, _) = signals.next() => number,
    };
    // The engine may be making it just now. A pull, which takes longer, ends with our connection.
    if let Ok(Ok(id)) = tokio::time::timeout(foreground::PATIENCE, creating).await {
        let _ = engine
            .delete(format!("/containers/{id}"))
            .query_if("force", true)
            .status()
            .await;
    }
    Err(Failure::reported().exit(ExitStatus::of_signal(signal)))
}
