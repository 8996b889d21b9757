//! Health checks and what they have said: the API's types to the engine's and back.

use bollard_stubs::models::{
    ContainerSummaryHealth, ContainerSummaryHealthStatusEnum as SummaryStatus, Health as ApiHealth, HealthConfig,
    HealthStatusEnum, HealthcheckResult,
};
use ferry_engine::container::{Health, HealthStatus, Probe};
use ferry_oci::Healthcheck;

use super::time::rfc3339;
use crate::error::ApiError;

/// The check that a body asks for.
pub(super) fn parse(check: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: check.test.unwrap_or_default(),
        interval_ns: check.interval.unwrap_or_default(),
        timeout_ns: check.timeout.unwrap_or_default(),
        start_period_ns: check.start_period.unwrap_or_default(),
        start_interval_ns: check.start_interval.unwrap_or_default(),
        retries: check.retries.unwrap_or_default(),
    }
}

/// A container's check as an inspect shows it.
pub(super) fn show_check(check: &Healthcheck) -> HealthConfig {
    let given = |value: i64| Some(value).filter(|value| *value != 0);
    HealthConfig {
        test: Some(check.test.clone()),
        interval: given(check.interval_ns),
        timeout: given(check.timeout_ns),
        start_period: given(check.start_period_ns),
        start_interval: given(check.start_interval_ns),
        retries: given(check.retries),
    }
}

/// A health as an inspect shows it.
pub(super) fn show(health: &Health) -> ApiHealth {
    let probe = |probe: &Probe| HealthcheckResult {
        start: Some(rfc3339(probe.started_at)),
        end: Some(rfc3339(probe.ended_at)),
        exit_code: Some(i64::from(probe.exit_code)),
        output: Some(probe.output.clone()),
    };
    ApiHealth {
        status: Some(match health.status {
            HealthStatus::Starting => HealthStatusEnum::STARTING,
            HealthStatus::Healthy => HealthStatusEnum::HEALTHY,
            HealthStatus::Unhealthy => HealthStatusEnum::UNHEALTHY,
        }),
        failing_streak: Some(i64::from(health.failing_streak)),
        log: Some(health.log.iter().map(probe).collect()),
    }
}

/// A health as a list shows it.
pub(super) fn summary(health: Option<&Health>) -> Option<ContainerSummaryHealth> {
    let health = health?;
    Some(ContainerSummaryHealth {
        status: Some(match health.status {
            HealthStatus::Starting => SummaryStatus::STARTING,
            HealthStatus::Healthy => SummaryStatus::HEALTHY,
            HealthStatus::Unhealthy => SummaryStatus::UNHEALTHY,
        }),
        failing_streak: Some(i64::from(health.failing_streak)),
    })
}

/// The value of the filter `health`.
pub(crate) fn parse_status(word: &str) -> Result<Option<HealthStatus>, ApiError> {
    match word {
        "none" => Ok(None),
        "starting" => Ok(Some(HealthStatus::Starting)),
        "healthy" => Ok(Some(HealthStatus::Healthy)),
        "unhealthy" => Ok(Some(HealthStatus::Unhealthy)),
        _ => Err(ApiError::bad_request(format!(
            "invalid value for health ({word}): must be one of none, starting, healthy, unhealthy"
        ))),
    }
}
