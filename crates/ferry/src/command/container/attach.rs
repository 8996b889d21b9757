//! `ferry attach`: joins the streams of a container that runs.

use clap::Args;

use super::foreground::{self, Foreground};
use super::options::Streams;
use super::{Facts, detach_keys, path};
use crate::command::Verb;
use crate::failure::{Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::stream::Signals;
use crate::terminal;

/// `ferry attach`.
#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// Leave its stdin alone
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the process
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, action = clap::ArgAction::Set, value_parser = clap::builder::ValueParser::new(crate::cli::go_bool))]
    sig_proxy: bool,
    /// Keys that leave the container running: ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Attach {
    const ABOUT: &'static str = "Join the streams of a container that runs";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let facts = Facts::of(engine, &self.container).await?;
        if !facts.state.running {
            return Err(Failure::new(format!("the container {} does not run", self.container))
                .hint(format!("start it: ferry start -a {}", self.container)));
        }
        if facts.state.paused {
            return Err(Failure::new(format!("the container {} is paused", self.container)));
        }
        let stdin = !self.no_stdin && facts.config.open_stdin;
        if facts.config.tty && stdin && !terminal::stdin_is_one() {
            return Err(Failure::new("the container has a terminal, and stdin is none")
                .hint("leave its stdin alone: --no-stdin"));
        }
        let streams = Streams {
            stdin,
            stdout: true,
            stderr: true,
        };
        let waiting = foreground::wait(engine, &facts.id, "not-running").await?;
        let (_, stream) = engine
            .post(path(&facts.id, "attach"))
            .query("stream", "1")
            .query_if("stdin", stdin)
            .query("stdout", "1")
            .query("stderr", "1")
            .upgrade("tcp")
            .await?;
        let foreground = Foreground {
            id: &facts.id,
            tty: facts.config.tty,
            streams,
            detach_keys: detach_keys(self.detach_keys.as_deref(), invocation)?,
            pass_signals: self.sig_proxy,
            auto_remove: facts.host.auto_remove,
        };
        let signals = Signals::catch().explain(|| "cannot watch for signals")?;
        foreground::stay(engine, foreground, Some(stream), waiting, signals).await
    }
}
