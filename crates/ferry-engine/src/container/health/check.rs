//! Health checks as they are asked for: the image's and one's own, what cannot be, and what is meant.

use std::time::Duration;

use ferry_oci::Healthcheck;

use super::super::{ContainerConfig, Error};

/// How a container is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::container) struct Check {
    /// What is executed.
    pub(super) command: Vec<String>,
    /// Time between two checks.
    pub(super) interval: Duration,
    /// Time that a check may take.
    pub(super) timeout: Duration,
    /// Time at the start in which failures do not count.
    pub(super) start_period: Duration,
    /// Time between two checks at the start.
    pub(super) start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub(super) retries: u32,
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_RETRIES: u32 = 3;
const MIN_NS: i64 = 1_000_000;

/// What was asked for, with the image's for what was not. Source: moby `commit.go`, `merge`.
pub(in crate::container) fn inherit(asked: Option<&Healthcheck>, image: Option<&Healthcheck>) -> Option<Healthcheck> {
    let (Some(asked), Some(image)) = (asked, image) else {
        return asked.or(image).cloned();
    };
    let mut merged = asked.clone();
    if merged.test.is_empty() {
        merged.test.clone_from(&image.test);
    }
    for (value, default) in [
        (&mut merged.interval_ns, image.interval_ns),
        (&mut merged.timeout_ns, image.timeout_ns),
        (&mut merged.start_period_ns, image.start_period_ns),
        (&mut merged.start_interval_ns, image.start_interval_ns),
        (&mut merged.retries, image.retries),
    ] {
        if *value == 0 {
            *value = default;
        }
    }
    Some(merged)
}

/// Refuses what cannot be. Source: moby `container.go`, `validateHealthCheck`.
pub(in crate::container) fn verify(check: &Healthcheck) -> Result<(), Error> {
    let refuse = |words: String| Err(Error::Healthcheck(words));
    for (name, value) in [
        ("Interval", check.interval_ns),
        ("Timeout", check.timeout_ns),
        ("StartPeriod", check.start_period_ns),
        ("StartInterval", check.start_interval_ns),
    ] {
        if value != 0 && value < MIN_NS {
            return refuse(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    if check.retries < 0 {
        return refuse("Retries in Healthcheck cannot be negative".to_owned());
    }
    Ok(())
}

impl Check {
    /// The check of a container; `None` if it has none.
    pub(in crate::container) fn of(config: &ContainerConfig) -> Option<Self> {
        let asked = config.healthcheck.as_ref()?;
        let (kind, words) = asked.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => {
                let shell = config.shell.as_deref().filter(|shell| !shell.is_empty());
                let shell = shell.map_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()], <[String]>::to_vec);
                [&shell, words].concat()
            }
            _ => return None,
        };
        let duration = |ns: i64, default: Duration| match u64::try_from(ns) {
            Ok(ns) if ns > 0 => Duration::from_nanos(ns),
            _ => default,
        };
        (!command.is_empty()).then(|| Self {
            command,
            interval: duration(asked.interval_ns, DEFAULT_INTERVAL),
            timeout: duration(asked.timeout_ns, DEFAULT_TIMEOUT),
            start_period: duration(asked.start_period_ns, Duration::ZERO),
            start_interval: duration(asked.start_interval_ns, DEFAULT_START_INTERVAL),
            retries: u32::try_from(asked.retries)
                .ok()
                .filter(|retries| *retries > 0)
                .unwrap_or(DEFAULT_RETRIES),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_the_image_s() {
        let check = |test: &[&str], interval_ns, retries| Healthcheck {
            test: test.iter().map(|word| (*word).to_owned()).collect(),
            interval_ns,
            retries,
            ..Healthcheck::default()
        };
        let image = check(&["CMD", "true"], 5, 7);
        assert_eq!(inherit(None, Some(&image)), Some(image.clone()));
        assert_eq!(inherit(None, None), None);
        assert_eq!(
            inherit(Some(&check(&[], 9, 0)), Some(&image)),
            Some(check(&["CMD", "true"], 9, 7))
        );
        assert_eq!(
            inherit(Some(&check(&["NONE"], 0, 0)), Some(&image)).map(|check| check.test),
            Some(vec!["NONE".to_owned()])
        );
        for (bad, words) in [
            (
                check(&[], 999_999, 0),
                "Interval in Healthcheck cannot be less than 1ms",
            ),
            (check(&[], 0, -1), "Retries in Healthcheck cannot be negative"),
        ] {
            assert_eq!(verify(&bad).expect_err("a refusal").to_string(), words);
        }
    }
}
