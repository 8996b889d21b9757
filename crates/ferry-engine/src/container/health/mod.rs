//! Health: what checks have said of a container, and what that makes it.

mod check;
mod watch;

use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use ferry_store::Durability;
use ferry_store::record::{self, Record};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use check::Check;
pub(super) use check::{inherit, verify};
pub(super) use watch::Past;

use super::Container;

/// What a container with a health check is. Source: Docker Engine API `Health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    /// No check has succeeded yet, and not enough have failed.
    Starting,
    /// The last check succeeded, or too few have failed since one did.
    Healthy,
    /// Too many checks in a row have failed, or nothing is checked now.
    Unhealthy,
}

/// One check that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// Its exit code: 0 is well; −1 if it took too long or could not be made.
    pub exit_code: i32,
    /// The beginning of what it wrote.
    pub output: String,
}

/// What checks have said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What they make of it.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last checks, oldest first.
    pub log: Vec<Probe>,
}

/// The file `health.json` in a running container's state folder, version 1.
impl Record for Health {
    const VERSION: u32 = 1;
}

const FILE: &str = "health.json";
const LOG_LENGTH: usize = 5;

impl HealthStatus {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Health {
    fn starting() -> Self {
        Self {
            status: HealthStatus::Starting,
            failing_streak: 0,
            log: Vec::new(),
        }
    }

    /// Takes a check's result in. Source: moby `health.go`, `handleProbeResult`.
    fn note(&mut self, probe: Probe, check: &Check, container_started_at: OffsetDateTime) {
        let is_early =
            self.status == HealthStatus::Starting && probe.started_at - container_started_at < check.start_period;
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if !is_early {
            self.failing_streak += 1;
            if self.failing_streak >= check.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        if self.log.len() >= LOG_LENGTH {
            self.log.drain(..=self.log.len() - LOG_LENGTH);
        }
        self.log.push(probe);
    }
}

impl Container {
    /// What checks have said; `None` if it was never checked.
    pub fn health(&self) -> Option<Health> {
        self.health_slot().clone()
    }

    fn health_slot(&self) -> MutexGuard<'_, Option<Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process begins: nothing is known of it yet, but what was known of the one before.
    fn begin_health(&self) {
        let mut slot = self.health_slot();
        let log = slot.take().map(|health| health.log).unwrap_or_default();
        *slot = Some(Health {
            log,
            ..Health::starting()
        });
    }

    /// Its process goes on after the engine: so does what was known of it.
    fn recall_health(&self, state_dir: &Path) {
        let kept = record::read(&state_dir.join(FILE)).unwrap_or_else(|error| {
            tracing::warn!(container.id = %self.id, %error, "cannot read its health");
            None
        });
        *self.health_slot() = Some(kept.unwrap_or_else(Health::starting));
    }

    /// Nothing is checked now, and it counts as unhealthy, as in Docker.
    pub(super) fn end_health(&self) {
        if let Some(health) = &mut *self.health_slot() {
            health.status = HealthStatus::Unhealthy;
        }
    }

    /// Keeps what is known for the next engine; with the process it is gone.
    fn keep_health(&self, state_dir: &Path) {
        let _files = self.files();
        // With its process' end the folder is gone, and nobody asks any more.
        if let Some(health) = self.health().filter(|_| state_dir.exists())
            && let Err(error) = record::write(&state_dir.join(FILE), &health, Durability::Volatile)
        {
            tracing::warn!(container.id = %self.id, %error, "cannot keep its health");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check() -> Check {
        Check {
            command: vec!["true".to_owned()],
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::from_secs(10),
            start_interval: Duration::from_secs(5),
            retries: 2,
        }
    }

    /// The status and streak after checks at these seconds with these exit codes.
    fn after(probes: &[(i64, i32)]) -> (&'static str, u32, usize) {
        let begin = OffsetDateTime::UNIX_EPOCH;
        let mut health = Health::starting();
        for (second, exit_code) in probes {
            let at = begin + time::Duration::seconds(*second);
            let probe = Probe {
                started_at: at,
                ended_at: at,
                exit_code: *exit_code,
                output: String::new(),
            };
            health.note(probe, &check(), begin);
        }
        (health.status.as_str(), health.failing_streak, health.log.len())
    }

    #[test]
    fn failures_count_in_a_row_and_not_before_the_start_is_over() {
        assert_eq!(after(&[]), ("starting", 0, 0));
        assert_eq!(after(&[(1, 1), (2, 1), (3, -1)]), ("starting", 0, 3));
        assert_eq!(after(&[(1, 1), (11, 1)]), ("starting", 1, 2));
        assert_eq!(after(&[(11, 1), (12, 1)]), ("unhealthy", 2, 2));
        assert_eq!(
            after(&[(1, 0), (2, 1)]),
            ("healthy", 1, 2),
            "the start is over with a success"
        );
        assert_eq!(after(&[(1, 0), (2, 1), (3, 1), (4, 0)]), ("healthy", 0, 4));
        assert_eq!(after(&[(1, 0); 9]), ("healthy", 0, 5));
    }
}
