//! Restart policies: whether a container whose process has ended is started again, and when.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ferry_store::record::{self, Record};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::{Container, Error, OnExit, Phase};
use crate::Engine;

/// When a container whose process has ended is started again. Source: Docker Engine API `RestartPolicy`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Not by the engine.
    #[default]
    No,
    /// Always; one that was stopped, when the engine starts.
    Always,
    /// Always, unless it was stopped.
    UnlessStopped,
    /// After an exit code other than 0.
    OnFailure {
        /// So many times; without end when absent.
        max_retries: Option<u32>,
    },
}

/// What is known of a container's starts and ends, besides its state.
#[derive(Debug, Default)]
pub(super) struct Life {
    record: LifeRecord,
    /// How long the last restart waited; zero before the first.
    back_off: Duration,
    /// Whether somebody ended it, so that it stays ended until somebody starts it.
    is_called_off: bool,
    /// Whether somebody restarts it: then its end does not remove it.
    is_kept: bool,
}

/// The file `life.json` of a container with a restart policy, version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LifeRecord {
    /// When somebody last started it.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// Whether somebody has signalled it since, as a stop does.
    was_stopped: bool,
    /// How often the engine has started it again since.
    restarts: u32,
}

impl Record for LifeRecord {
    const VERSION: u32 = 1;
}

const FILE: &str = "life.json";
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LAST_BACK_OFF: Duration = Duration::from_secs(60);
/// A process that ran so long was well: the next restart waits as the first.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// Containers that an engine starts side by side when it begins.
const STARTS_AT_ONCE: usize = 16;

impl Life {
    /// How long to wait before the next start; `None` if there is to be none. Source: moby
    /// `restartmanager.go`, `ShouldRestart`.
    fn after_exit(&mut self, policy: RestartPolicy, code: i32, ran_for: Duration) -> Option<Duration> {
        if self.is_called_off || !self.is_due(policy, code) {
            return None;
        }
        if ran_for >= LONG_LIFE {
            self.back_off = Duration::ZERO;
        }
        self.back_off = (self.back_off * 2).clamp(FIRST_BACK_OFF, LAST_BACK_OFF);
        self.record.restarts += 1;
        Some(self.back_off)
    }

    fn is_due(&self, policy: RestartPolicy, code: i32) -> bool {
        match policy {
            RestartPolicy::No => false,
            RestartPolicy::Always => true,
            RestartPolicy::UnlessStopped => !self.record.was_stopped,
            RestartPolicy::OnFailure { max_retries } => {
                code != 0 && max_retries.is_none_or(|max| self.record.restarts < max)
            }
        }
    }
}

impl Container {
    /// How often the engine has started it again since somebody started it.
    pub fn restarts(&self) -> u32 {
        self.life().record.restarts
    }

    fn restart_policy(&self) -> RestartPolicy {
        let adjustable = self.adjustable.read().unwrap_or_else(PoisonError::into_inner);
        adjustable.restart
    }

    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocking. Somebody has started it.
    pub(super) fn begin_life(&self, dir: &Path, started_at: OffsetDateTime) {
        *self.life() = Life {
            record: LifeRecord {
                started_at: Some(started_at),
                ..LifeRecord::default()
            },
            ..Life::default()
        };
        self.keep_life(dir);
    }

    /// Blocking. Writes what outlives a boot; nothing for a container without a policy.
    pub(super) fn keep_life(&self, dir: &Path) {
        if self.restart_policy() == RestartPolicy::No {
            return;
        }
        let _files = self.files();
        let state = self.state();
        if state.phase == Phase::Removed {
            return;
        }
        let mut contents = self.life().record.clone();
        contents.started_at = contents.started_at.or(state.started_at);
        if let Err(error) = record::write(&dir.join(FILE), &contents, self.durability()) {
            tracing::warn!(container.id = %self.id, %error, "cannot keep what its restart policy needs");
        }
    }

    /// Reads what an engine before this one wrote.
    pub(super) fn recall_life(&self, dir: &Path) {
        if self.restart_policy() == RestartPolicy::No {
            return;
        }
        match record::read(&dir.join(FILE)) {
            Ok(Some(kept)) => self.life().record = kept,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(container.id = %self.id, %error, "cannot read what its restart policy needs")
            }
        }
    }

    /// Whether somebody started it later than `started_at`, so that how it ended then says nothing.
    pub(super) fn was_started_after(&self, started_at: Option<OffsetDateTime>) -> bool {
        let last = self.life().record.started_at;
        last.is_some_and(|last| started_at.is_none_or(|then| then < last))
    }

    /// The process has ended: how long until it is started again, if it is to be.
    pub(super) fn after_exit(&self, code: i32, ran_for: Duration) -> Option<Duration> {
        let policy = self.restart_policy();
        if policy == RestartPolicy::No {
            return None;
        }
        self.life().after_exit(policy, code, ran_for)
    }

    /// Somebody restarts it: what removes itself when it ends is not to go now.
    pub(super) fn keep_for_restart(&self) {
        self.life().is_kept = true;
    }

    /// The restart is over.
    pub(super) fn restart_is_over(&self) {
        self.life().is_kept = false;
    }

    /// Whether its end removes it.
    pub(super) fn goes_with_its_end(&self) -> bool {
        self.config.options.host.on_exit == OnExit::Remove && !self.life().is_kept
    }

    /// Whether an engine that begins is to start it.
    pub(super) fn is_due_at_begin(&self) -> bool {
        let policy = self.restart_policy();
        let code = self.state.borrow().exit_code;
        let life = self.life();
        life.record.started_at.is_some() && life.is_due(policy, code)
    }

    /// Ends the wait for a restart, if it waits and somebody has called the restart off.
    pub(super) fn stay_ended_if_called_off(&self) {
        if !self.life().is_called_off {
            return;
        }
        self.state.send_if_modified(|state| {
            let is_waiting = state.phase == Phase::Restarting;
            if is_waiting {
                state.phase = Phase::Exited;
            }
            is_waiting
        });
    }
}

impl Engine {
    /// Notes that somebody signals the container, before its process hears of it. One that is asked to end
    /// is not started again.
    pub(super) async fn note_signal(&self, container: &Arc<Container>, asks_to_end: bool) -> Result<(), Error> {
        let is_news = {
            let mut life = container.life();
            life.is_called_off |= asks_to_end;
            !std::mem::replace(&mut life.record.was_stopped, true)
        };
        if is_news && container.restart_policy() != RestartPolicy::No {
            let (dir, keeping) = (container.dir(&self.instance), container.clone());
            tokio::task::spawn_blocking(move || keeping.keep_life(&dir)).await?;
        }
        container.stay_ended_if_called_off();
        Ok(())
    }

    /// Starts a container again after `delay`, unless somebody calls that off.
    pub(super) fn restart_later(&self, container: Arc<Container>, delay: Duration) {
        let engine = self.clone();
        let exits = container.state.borrow().exits;
        tokio::spawn(async move {
            let mut state = container.state.subscribe();
            let called_off = state.wait_for(|state| state.phase != Phase::Restarting);
            tokio::select! {
                _ = called_off => return,
                () = tokio::time::sleep(delay) => {}
            }
            let starting = engine.clone();
            // To its end, as any start.
            engine
                .reaper
                .spawn(async move { starting.restart_now(&container, exits).await });
        });
    }

    async fn restart_now(&self, container: &Arc<Container>, exits: u64) {
        let _lifecycle = container.lifecycle.lock().await;
        let is_due = {
            let state = container.state.borrow();
            state.phase == Phase::Restarting && state.exits == exits
        };
        if is_due && let Err(error) = self.start_idle(container, super::start::StartedBy::Policy).await {
            tracing::warn!(container.id = %container.id, %error, "cannot start it again");
        }
    }

    /// Starts containers that were to run when the engine began; until then they show as restarting.
    pub(super) fn start_due(&self, due: Vec<Arc<Container>>) {
        let places = Arc::new(Semaphore::new(STARTS_AT_ONCE));
        for container in due {
            container.state.send_modify(|state| state.phase = Phase::Restarting);
            let (engine, places) = (self.clone(), places.clone());
            self.reaper.spawn(async move {
                let _place = places.acquire().await;
                let _lifecycle = container.lifecycle.lock().await;
                if container.state.borrow().phase != Phase::Restarting {
                    return;
                }
                if let Err(error) = engine.start_idle(&container, super::start::StartedBy::Person).await {
                    tracing::warn!(container.id = %container.id, %error, "cannot start what its policy wants to run");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    #[test]
    fn back_off_doubles_up_to_a_minute_and_begins_anew_after_a_long_life() {
        let mut life = Life::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(
                life.after_exit(RestartPolicy::Always, 0, SHORT)
                    .expect("a restart")
                    .as_millis(),
            );
        }
        assert_eq!(
            waits,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000
            ]
        );
        assert_eq!(
            life.after_exit(RestartPolicy::Always, 0, LONG_LIFE),
            Some(FIRST_BACK_OFF)
        );
        assert_eq!(life.record.restarts, 13);
    }

    #[test]
    fn policies_decide_as_docker_s() {
        let on_failure = |max_retries| RestartPolicy::OnFailure { max_retries };
        let due = |policy, code, was_stopped, restarts| {
            let mut life = Life::default();
            life.record.was_stopped = was_stopped;
            life.record.restarts = restarts;
            life.after_exit(policy, code, SHORT).is_some()
        };
        assert!(!due(RestartPolicy::No, 1, false, 0));
        assert!(due(RestartPolicy::Always, 0, true, 99));
        assert!(due(RestartPolicy::UnlessStopped, 0, false, 99));
        assert!(!due(RestartPolicy::UnlessStopped, 1, true, 0));
        assert!(due(on_failure(None), 1, false, 99));
        assert!(!due(on_failure(None), 0, false, 0));
        assert!(due(on_failure(Some(2)), 1, false, 1));
        assert!(!due(on_failure(Some(2)), 1, false, 2));
        let mut called_off = Life {
            is_called_off: true,
            ..Life::default()
        };
        assert_eq!(called_off.after_exit(RestartPolicy::Always, 0, SHORT), None);
    }
}
