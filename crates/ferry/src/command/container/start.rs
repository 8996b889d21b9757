//! `ferry start`: starts containers that were made or have ended.

use clap::Args;

use super::foreground::{self, Foreground};
use super::options::Streams;
use super::{Facts, detach_keys, path};
use crate::command::{Verb, each, each::Said};
use crate::failure::{Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::stream::Signals;
use crate::terminal;

/// `ferry start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Attach to its output and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach to its stdin
    #[arg(short, long)]
    interactive: bool,
    /// Keys that leave the container running: ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Start {
    const ABOUT: &'static str = "Start containers that do not run";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        if !self.attach && !self.interactive {
            return each::name(&self.containers, async |name| {
                engine
                    .post(path(name, "start"))
                    .status()
                    .await
                    .map_err(|error| Failure::from(error).while_doing(format!("cannot start {name}")))?;
                Ok(Said::Name)
            })
            .await;
        }
        let [name] = self.containers.as_slice() else {
            return Err(Failure::new("only one container can be attached to"));
        };
        let facts = Facts::of(engine, name).await?;
        if facts.state.running {
            return Err(Failure::new(format!("the container {name} runs already"))
                .hint(format!("attach to it: ferry attach {name}")));
        }
        let streams = Streams {
            stdin: self.interactive && facts.config.open_stdin,
            stdout: true,
            stderr: true,
        };
        if facts.config.tty && streams.stdin && !terminal::stdin_is_one() {
            return Err(Failure::new("the container has a terminal, and stdin is none"));
        }
        let foreground = Foreground {
            id: &facts.id,
            tty: facts.config.tty,
            streams,
            detach_keys: detach_keys(self.detach_keys.as_deref(), invocation)?,
            pass_signals: true,
            auto_remove: facts.host.auto_remove,
        };
        let signals = Signals::catch().explain(|| "cannot watch for signals")?;
        foreground::start(engine, foreground, signals).await
    }
}
