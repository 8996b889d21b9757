//! Flags about health checks.

use bollard_stubs::models::{ContainerCreateBody, HealthConfig};
use clap::Args;

use crate::failure::Failure;
use crate::format::when;

/// Flags about health checks.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Command that tells whether it is healthy
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between two checks: 30s
    #[arg(long, value_name = "DURATION")]
    health_interval: Option<String>,
    /// Time that a check may take
    #[arg(long, value_name = "DURATION")]
    health_timeout: Option<String>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    health_retries: Option<i64>,
    /// Time at the start in which failures do not count
    #[arg(long, value_name = "DURATION")]
    health_start_period: Option<String>,
    /// Time between two checks at the start
    #[arg(long, value_name = "DURATION")]
    health_start_interval: Option<String>,
    /// Leave the image's health check out
    #[arg(long)]
    no_healthcheck: bool,
}

impl Health {
    pub(super) fn apply(self, body: &mut ContainerCreateBody) -> Result<(), Failure> {
        let config = HealthConfig {
            test: self.health_cmd.map(|command| vec!["CMD-SHELL".to_owned(), command]),
            interval: nanoseconds(self.health_interval, "--health-interval")?,
            timeout: nanoseconds(self.health_timeout, "--health-timeout")?,
            retries: self.health_retries,
            start_period: nanoseconds(self.health_start_period, "--health-start-period")?,
            start_interval: nanoseconds(self.health_start_interval, "--health-start-interval")?,
        };
        let asked = config != HealthConfig::default();
        if self.no_healthcheck {
            if asked {
                return Err(Failure::new("--no-healthcheck conflicts with --health-* options"));
            }
            body.healthcheck = Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..HealthConfig::default()
            });
        } else if asked {
            body.healthcheck = Some(config);
        }
        Ok(())
    }
}

fn nanoseconds(text: Option<String>, flag: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    when::duration(&text)
        .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
        .map(Some)
        .ok_or_else(|| Failure::new(format!("invalid duration {text:?} for {flag}")).hint("write 30s or 1m30s"))
}
