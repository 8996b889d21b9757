//! Starts a container and stays with it: attach, wait, start, streams, exit status, in as few steps as the API allows.

use std::pin::pin;
use std::time::Duration;

use bollard_stubs::models::ContainerWaitResponse;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::options::Streams;
use super::{path, start_failure};
use crate::engine::{Engine, Error};
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::stream::{Attachment, DetachKeys, Ending, Resizable, Shape, Signals, connect, follow_size, proxy};
use crate::terminal::{self, raw::Raw};

/// How long an interrupted command waits for what the engine is doing.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// So many signals while the engine starts the container mean that the user wants out.
const HELD_SIGNALS: usize = 3;

/// A container that is to be started and stayed with.
pub(super) struct Foreground<'a> {
    pub(super) id: &'a str,
    pub(super) tty: bool,
    pub(super) streams: Streams,
    pub(super) detach_keys: DetachKeys,
    pub(super) pass_signals: bool,
    pub(super) auto_remove: bool,
}

/// Starts it; the outcome is its own exit status.
pub(super) async fn start(engine: &Engine, foreground: Foreground<'_>, mut signals: Signals) -> Outcome {
    let condition = if foreground.auto_remove { "removed" } else { "next-exit" };
    // Both must stand before it starts, or a short life would be missed.
    let (attached, waiting) = tokio::try_join!(attach(engine, &foreground), wait(engine, foreground.id, condition))
        .map_err(|error| Failure::from(error).exit(ExitStatus::ENGINE))?;
    let held = start_it(engine, foreground.id, &mut signals).await?;
    for signal in held {
        let _ = engine
            .post(path(foreground.id, "kill"))
            .query("signal", signal)
            .status()
            .await;
    }
    stay(engine, foreground, attached, waiting, signals).await
}

/// Stays with a container that runs: `attached` to its streams, with its exit status on `waiting`.
pub(super) async fn stay(
    engine: &Engine,
    foreground: Foreground<'_>,
    attached: Option<TokioIo<Upgraded>>,
    waiting: Incoming,
    mut signals: Signals,
) -> Outcome {
    let raw = enter_raw(&foreground)?;
    let resized = async {
        if foreground.tty && terminal::stdout_is_one() {
            follow_size(engine, Resizable::Container(foreground.id)).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let signalled = async {
        if foreground.pass_signals {
            proxy(engine, foreground.id, &mut signals).await
        } else {
            signals.next().await.0
        }
    };
    let keys = (foreground.streams.stdin && terminal::stdin_is_one()).then(|| foreground.detach_keys.clone());
    let living = async {
        if let Some(attached) = attached {
            let attachment = Attachment {
                shape: Shape::of_tty(foreground.tty),
                stdin: foreground.streams.stdin,
                detach_keys: keys,
            };
            match connect(attached, attachment).await? {
                Ending::Closed => {}
                Ending::Detached => return Ok(None),
                Ending::OutputGone => return Ok(Some(ExitStatus::of_signal(SIGPIPE))),
            }
        }
        exit_status(waiting).await.map(Some)
    };
    let outcome = tokio::select! {
        outcome = living => outcome,
        signal = signalled => Ok(Some(ExitStatus::of_signal(signal))),
        () = resized => Ok(None),
    };
    drop(raw);
    Ok(outcome?.unwrap_or_else(|| {
        terminal::note("read escape sequence");
        ExitStatus::SUCCESS
    }))
}

/// What a shell sees of a command whose reader has gone (signal(7)).
const SIGPIPE: u8 = 13;

fn enter_raw(foreground: &Foreground<'_>) -> Result<Option<Raw>, Failure> {
    let wanted = foreground.tty && foreground.streams.stdin && terminal::stdin_is_one();
    wanted
        .then(Raw::enter)
        .transpose()
        .explain(|| "cannot set the terminal up")
}

async fn attach(engine: &Engine, foreground: &Foreground<'_>) -> Result<Option<TokioIo<Upgraded>>, Error> {
    let streams = foreground.streams;
    if streams == Streams::default() {
        return Ok(None);
    }
    let (_, stream) = engine
        .post(path(foreground.id, "attach"))
        .query("stream", "1")
        .query_if("stdin", streams.stdin)
        .query_if("stdout", streams.stdout)
        .query_if("stderr", streams.stderr)
        .upgrade("tcp")
        .await?;
    Ok(Some(stream))
}

/// Begins to wait: the answer's head says that the engine watches, its body is the exit status.
pub(super) async fn wait(engine: &Engine, id: &str, condition: &str) -> Result<Incoming, Error> {
    let response = engine
        .post(path(id, "wait"))
        .query("condition", condition)
        .stream()
        .await?;
    Ok(response.into_body())
}

/// Starts it; gives the signals that came meanwhile.
async fn start_it(engine: &Engine, id: &str, signals: &mut Signals) -> Result<Vec<&'static str>, Failure> {
    let mut held = Vec::new();
    let mut starting = pin!(engine.post(path(id, "start")).status());
    loop {
        tokio::select! {
            started = &mut starting => {
                started.map_err(start_failure)?;
                return Ok(held);
            }
            (number, name) = signals.next() => {
                held.push(name);
                if held.len() >= HELD_SIGNALS {
                    return Err(Failure::reported().exit(ExitStatus::of_signal(number)));
                }
            }
        }
    }
}

/// Reads the exit status that a wait ends with.
async fn exit_status(waiting: Incoming) -> Result<ExitStatus, Failure> {
    let lost = "the engine did not tell how the container ended";
    let bytes = waiting.collect().await.explain(|| lost)?.to_bytes();
    let ended: ContainerWaitResponse = serde_json::from_slice(&bytes).explain(|| lost)?;
    if let Some(message) = ended.error.and_then(|error| error.message).filter(|m| !m.is_empty()) {
        return Err(Failure::new(message).exit(ExitStatus::ENGINE));
    }
    Ok(ExitStatus::of_container(ended.status_code))
}
