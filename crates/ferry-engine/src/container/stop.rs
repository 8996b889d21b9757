//! Stops a container: asks its process, waits, then kills it.

use std::sync::Arc;

use ferry_runtime::Signal;

use super::kill::parse_signal;
use super::{Container, Error, StopTimeout};
use crate::Engine;

/// What became of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The process has ended.
    Now,
    /// Nothing ran.
    Already,
}

impl Engine {
    /// Stops a container with its own signal and time unless others are given. Docker Engine API
    /// `ContainerStop`.
    pub async fn stop_container(
        &self,
        wanted: &str,
        signal: Option<&str>,
        timeout: Option<StopTimeout>,
    ) -> Result<Stopped, Error> {
        let container = self.containers.find(wanted)?;
        let signal = match signal.or(container.config.stop_signal.as_deref()) {
            Some(text) => parse_signal(text)?,
            None => Signal::TERM,
        };
        let timeout = timeout.unwrap_or(container.config.options.stop_timeout);
        let _lifecycle = container.lifecycle.lock().await;
        if !container.state.borrow().is_running() {
            return Ok(Stopped::Already);
        }
        let ended = self.ended(&container);
        tokio::pin!(ended);
        // A process that ended between the check and the signal is what was wanted.
        let _ = self.signal_container(&container, signal).await;
        let in_time = match timeout.duration() {
            Some(duration) => tokio::time::timeout(duration, &mut ended).await.is_ok(),
            None => {
                (&mut ended).await;
                true
            }
        };
        if !in_time {
            let _ = self.signal_container(&container, Signal::KILL).await;
            ended.await;
        }
        self.events
            .send("container", "stop", container.id.as_str(), container.attributes());
        Ok(Stopped::Now)
    }

    /// Waits until nothing runs in a container that was asked to end.
    pub(super) async fn ended(&self, container: &Arc<Container>) {
        let mut state = container.state.subscribe();
        // The container holds its sender.
        let _ = state.wait_for(|state| !state.has_process()).await;
        // It may have ended by itself, and its policy have decided, just before it was asked.
        container.stay_ended_if_called_off();
    }

    /// Stops a container and starts it again. Docker Engine API `ContainerRestart`.
    pub async fn restart_container(
        &self,
        wanted: &str,
        signal: Option<&str>,
        timeout: Option<StopTimeout>,
    ) -> Result<(), Error> {
        let (engine, signal) = (self.clone(), signal.map(str::to_owned));
        let container = self.containers.find(wanted)?;
        // A caller that goes away meanwhile wanted it to run.
        let restart = async move {
            let id = container.id.as_str();
            container.keep_for_restart();
            let stopped = engine.stop_container(id, signal.as_deref(), timeout).await;
            let started = match stopped {
                Ok(_) => engine.start_container(id).await,
                Err(error) => Err(error),
            };
            container.restart_is_over();
            started?;
            engine.events.send("container", "restart", id, container.attributes());
            Ok(())
        };
        tokio::spawn(restart).await?
    }
}
