//! Checking a container as long as it runs: one task, that sleeps between the checks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ferry_runtime::Signal;
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::{AttachOptions, Container, Error, Exec, ExecOptions, ExecOwner, ExecState, Phase};
use super::{Check, HealthStatus, Probe};
use crate::Engine;

/// What is kept of a check's output.
const MAX_OUTPUT_LEN: usize = 4096;
/// The exit code of a check that took too long or could not be made.
const NO_EXIT_CODE: i32 = -1;

/// Whether what was known of a container's health still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::container) enum Past {
    /// Its process has just begun.
    Over,
    /// Its process went on while there was no engine.
    GoesOn,
}

impl Engine {
    /// Says how a container that is about to count as running is checked, and what is known of it.
    pub(in crate::container) fn begin_health(&self, container: &Container, past: Past) -> Option<Check> {
        let check = Check::of(&container.config)?;
        match past {
            Past::Over => container.begin_health(),
            Past::GoesOn => container.recall_health(&self.instance.state_dir(container.id.as_str())),
        }
        Some(check)
    }

    /// Checks a container that runs until its process ends.
    pub(in crate::container) fn watch_health(&self, container: &Arc<Container>, check: Option<Check>) {
        let Some(check) = check else { return };
        let (engine, container) = (self.clone(), container.clone());
        let life = container.state.borrow().exits;
        tokio::spawn(async move { engine.check_until_end(&container, &check, life).await });
    }

    async fn check_until_end(&self, container: &Arc<Container>, check: &Check, life: u64) {
        while container.runs(life).await {
            tokio::select! {
                () = container.stands_still(life) => continue,
                () = tokio::time::sleep(container.until_check(check)) => {}
            }
            if let Some(probe) = self.probe(container, check, life).await {
                self.note_probe(container, check, probe, life);
            }
        }
    }

    fn note_probe(&self, container: &Container, check: &Check, probe: Probe, life: u64) {
        let news = {
            let mut slot = container.health_slot();
            let state = container.state.borrow();
            let (Some(health), Some(started_at)) = (&mut *slot, state.started_at) else {
                return;
            };
            // It ended or was paused meanwhile, which counts more.
            if state.phase != Phase::Running || state.exits != life {
                return;
            }
            let before = health.status;
            health.note(probe, check, started_at);
            (health.status != before).then_some(health.status)
        };
        container.keep_health(&self.instance.state_dir(container.id.as_str()));
        if let Some(status) = news {
            let action = format!("health_status: {}", status.as_str());
            self.events
                .send("container", action, container.id.as_str(), container.attributes());
        }
    }

    /// Makes a check; `None` if the container stopped meanwhile. Source: moby `health.go`, `cmdProbe.run`.
    async fn probe(&self, container: &Arc<Container>, check: &Check, life: u64) -> Option<Probe> {
        let started_at = OffsetDateTime::now_utc();
        let made = self.make_probe(container, check, life).await;
        let (exit_code, output) = match made {
            Ok(Some(result)) => result,
            Ok(None) => return None,
            Err(error) => (NO_EXIT_CODE, error.to_string()),
        };
        Some(Probe {
            started_at,
            ended_at: OffsetDateTime::now_utc(),
            exit_code,
            output,
        })
    }

    async fn make_probe(
        &self,
        container: &Arc<Container>,
        check: &Check,
        life: u64,
    ) -> Result<Option<(i32, String)>, Error> {
        let exec = self.create_exec(
            container.id.as_str(),
            ExecOptions {
                command: check.command.clone(),
                attach: AttachOptions {
                    stdin: false,
                    stdout: true,
                    stderr: true,
                },
                owner: ExecOwner::Health,
                ..ExecOptions::default()
            },
        )?;
        // The time that it takes to start does not count.
        let stream = self.start_exec(exec.id.as_str(), None).await;
        let stream = stream.inspect_err(|_| exec.forget_if_nobody_asks(container))?;
        let mut output = Output::default();
        let over = async {
            if let Some(stream) = stream {
                output.read(stream).await;
            }
            exec.ended().await
        };
        let ended = tokio::select! {
            () = container.stands_still(life) => None,
            code = tokio::time::timeout(check.timeout, over) => Some(code),
        };
        match ended {
            Some(Ok(code)) => Ok(Some((code, output.text()))),
            Some(Err(_elapsed)) => {
                kill(&exec);
                exec.ended().await;
                let late = format!("Health check exceeded timeout ({})", go_duration(check.timeout));
                let output = output.text();
                Ok(Some((
                    NO_EXIT_CODE,
                    if output.is_empty() {
                        late
                    } else {
                        format!("{late}: {output}")
                    },
                )))
            }
            None => {
                kill(&exec);
                Ok(None)
            }
        }
    }
}

impl Container {
    /// Waits while it is paused; says whether it runs then, in the same life.
    async fn runs(&self, life: u64) -> bool {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| state.phase != Phase::Paused || state.exits != life);
        settled
            .await
            .is_ok_and(|state| state.phase == Phase::Running && state.exits == life)
    }

    /// Waits until it is paused or has ended.
    fn stands_still(&self, life: u64) -> impl Future<Output = ()> + use<> {
        let mut state = self.state.subscribe();
        async move {
            // The container lives as long as this is waited for.
            let _ = state
                .wait_for(|state| state.phase != Phase::Running || state.exits != life)
                .await;
        }
    }

    /// How long until the next check.
    fn until_check(&self, check: &Check) -> Duration {
        let started_at = self.state.borrow().started_at;
        let is_early = started_at.is_some_and(|at| OffsetDateTime::now_utc() - at < check.start_period);
        let status = self.health_slot().as_ref().map(|health| health.status);
        if is_early && status == Some(HealthStatus::Starting) {
            check.start_interval
        } else {
            check.interval
        }
    }
}

fn kill(exec: &Exec) {
    if let ExecState::Running { monitor } = exec.state() {
        // Ended by itself is as good.
        let _ = monitor.signal(Signal::KILL);
    }
}

/// The beginning of what a check writes.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Output {
    /// Reads frames to their end, so that the check never waits for a reader.
    async fn read(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut head = [0; 8];
        let mut chunk = [0; MAX_OUTPUT_LEN];
        while stream.read_exact(&mut head).await.is_ok() {
            let [.., a, b, c, d] = head;
            let mut left = u32::from_be_bytes([a, b, c, d]) as usize;
            while left > 0 {
                let Ok(1..) = stream.read_exact(&mut chunk[..left.min(MAX_OUTPUT_LEN)]).await else {
                    return;
                };
                let len = left.min(MAX_OUTPUT_LEN);
                self.keep(&chunk[..len]);
                left -= len;
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (MAX_OUTPUT_LEN - self.bytes.len()).min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.is_cut |= room < bytes.len();
    }

    fn text(&self) -> String {
        let end = if self.is_cut { "..." } else { "" };
        format!("{}{end}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A duration as Go writes it: `30s`, `1m30s`, `1.5s`, `200ms`.
fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_secs_f64() * 1000.0),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", duration.as_secs() / 60, seconds % 60.0),
        whole => format!("{}h{}m{}s", whole / 3600, whole / 60 % 60, seconds % 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_is_kept_up_to_its_bound() {
        let mut frames = Vec::new();
        for len in [10_u32, 5000, 3] {
            frames.extend([1, 0, 0, 0]);
            frames.extend(len.to_be_bytes());
            frames.extend(std::iter::repeat_n(b'x', len as usize));
        }
        let mut output = Output::default();
        output.read(frames.as_slice()).await;
        assert_eq!(output.text(), format!("{}...", "x".repeat(MAX_OUTPUT_LEN)));
        let mut short = Output::default();
        short.read(&frames[..18]).await;
        assert_eq!(short.text(), "x".repeat(10));
    }

    #[test]
    fn durations_are_written_as_go_s() {
        for (millis, text) in [
            (200, "200ms"),
            (1500, "1.5s"),
            (30_000, "30s"),
            (90_000, "1m30s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
