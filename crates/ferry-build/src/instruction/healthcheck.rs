//! HEALTHCHECK: how to tell whether a container is healthy.

use std::time::Duration;

use ferry_oci::Healthcheck as HealthcheckConfig;

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, CommandForm, Fault, FlagSpec};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "HEALTHCHECK",
    usage: "HEALTHCHECK [--interval=…] [--timeout=…] [--start-period=…] [--start-interval=…] [--retries=…] CMD <command>, or HEALTHCHECK NONE",
    flags: &[
        FlagSpec::value("interval"),
        FlagSpec::value("timeout"),
        FlagSpec::value("start-period"),
        FlagSpec::value("start-interval"),
        FlagSpec::value("retries"),
    ],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Healthcheck {
    config: HealthcheckConfig,
    text: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    let kind = arguments.words().first().copied().unwrap_or_default();
    let command = arguments.rest[kind.len()..].trim();
    let mut config = HealthcheckConfig::default();
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => config.test = vec!["NONE".to_owned()],
        "NONE" => return Err(Fault::HealthcheckNone),
        "CMD" if command.is_empty() => return Err(Fault::HealthcheckNoCommand),
        "CMD" => {
            config.test = match CommandForm::parse(command)? {
                CommandForm::Exec(words) if words.is_empty() => {
                    return Err(Fault::HealthcheckNoCommand);
                }
                CommandForm::Exec(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
                CommandForm::Shell(text) => vec!["CMD-SHELL".to_owned(), text],
            };
            config.interval_ns = duration(arguments, "interval")?;
            config.timeout_ns = duration(arguments, "timeout")?;
            config.start_period_ns = duration(arguments, "start-period")?;
            config.start_interval_ns = duration(arguments, "start-interval")?;
            config.retries = retries(arguments)?;
        }
        _ => {
            let kind = kind.to_owned();
            return Err(Fault::HealthcheckKind { kind });
        }
    }
    step(Healthcheck {
        config,
        text: arguments.rest.to_owned(),
    })
}

impl Instruction for Healthcheck {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        stage.image.config.healthcheck = Some(self.config.clone());
        stage.record(format!("HEALTHCHECK {}", self.text));
        Ok(())
    }
}

/// A flag's duration in nanoseconds; Docker refuses what is not zero and below a millisecond.
fn duration(arguments: &Arguments<'_>, flag: &'static str) -> Result<i64, Fault> {
    let Some(value) = arguments.flags.value(flag) else {
        return Ok(0);
    };
    go_duration(value)
        .filter(|duration| duration.is_zero() || *duration >= Duration::from_millis(1))
        .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
        .ok_or_else(|| Fault::BadFlagValue {
            flag,
            value: value.to_owned(),
            expected: "a duration such as 30s, 1m30s or 500ms, of at least 1ms",
        })
}

fn retries(arguments: &Arguments<'_>) -> Result<i64, Fault> {
    let Some(value) = arguments.flags.value("retries") else {
        return Ok(0);
    };
    value
        .parse()
        .ok()
        .filter(|retries: &i64| (0..=i64::from(i32::MAX)).contains(retries))
        .ok_or_else(|| Fault::BadFlagValue {
            flag: "retries",
            value: value.to_owned(),
            expected: "a number that is not negative",
        })
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `0`. Source: Go `time.ParseDuration`.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total_ns: f64 = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit_ns = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        rest = &rest[letters..];
        total_ns += number * unit_ns;
    }
    Duration::try_from_secs_f64(total_ns / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn checks() {
        let image = apply("HEALTHCHECK --interval=1m30s --timeout=0.5s --retries=3 CMD curl -f $x");
        let check = image.config.healthcheck.as_ref().unwrap();
        assert_eq!(check.test, ["CMD-SHELL", "curl -f $x"]);
        assert_eq!(check.interval_ns, 90_000_000_000);
        assert_eq!(check.timeout_ns, 500_000_000);
        assert_eq!(check.retries, 3);
        let image = apply("HEALTHCHECK cmd [\"a\", \"b\"]");
        let check = image.config.healthcheck.as_ref().unwrap();
        assert_eq!(check.test, ["CMD", "a", "b"]);
        assert_eq!(
            apply("HEALTHCHECK NONE").config.healthcheck.as_ref().unwrap().test,
            ["NONE"]
        );
    }

    #[test]
    fn faults() {
        assert_eq!(
            fault("HEALTHCHECK FOO x"),
            "unknown type \"FOO\" in HEALTHCHECK (try CMD)"
        );
        assert_eq!(fault("HEALTHCHECK CMD"), "missing command after HEALTHCHECK CMD");
        assert_eq!(fault("HEALTHCHECK NONE x"), "HEALTHCHECK NONE takes no arguments");
        for value in ["1", "x", "-1s", "1us", ""] {
            let expect = format!("invalid value {value:?} for flag --interval");
            assert_eq!(fault(&format!("HEALTHCHECK --interval={value} CMD x")), expect);
        }
    }
}
