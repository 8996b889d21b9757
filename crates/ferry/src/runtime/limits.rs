//! `update`, `pause` and `resume`.

use std::io::Read;

use ferry_runtime::bundle::{self, ContainerId, Home};
use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value, json};

use super::flags::Update;
use super::log::Log;
use super::{Failed, Outcome};
use crate::failure::ExitStatus;

pub(super) fn pause(home: &Home, id: &str) -> Outcome {
    bundle::pause(home, &ContainerId::parse(id)?)?;
    Ok(ExitStatus::SUCCESS)
}

pub(super) fn resume(home: &Home, id: &str) -> Outcome {
    bundle::resume(home, &ContainerId::parse(id)?)?;
    Ok(ExitStatus::SUCCESS)
}

pub(super) fn update(home: &Home, update: &Update, log: &Log) -> Outcome {
    let resources = match update.resources.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(Failed::io("read stdin"))?;
            parse(&text)?
        }
        Some(path) => parse(&std::fs::read_to_string(path).map_err(Failed::io(path))?)?,
        None => of_flags(update)?,
    };
    log.warn(&bundle::update(home, &ContainerId::parse(&update.id)?, &resources)?);
    Ok(ExitStatus::SUCCESS)
}

fn parse(text: &str) -> Result<LinuxResources, Failed> {
    serde_json::from_str(text).map_err(|error| Failed::Usage(format!("resources: {error}")))
}

/// The shape of the specification, with what was given and nothing else.
fn of_flags(update: &Update) -> Result<LinuxResources, Failed> {
    let size = |text: &Option<String>| text.as_deref().map(bytes).transpose();
    let given = |members: Vec<(&str, Option<Value>)>| -> Value {
        let members = members.into_iter();
        let members = members.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(members.collect::<Map<_, _>>())
    };
    let value = json!({
        "cpu": given(vec![
            ("period", update.cpu_period.map(Value::from)),
            ("quota", update.cpu_quota.map(Value::from)),
            ("burst", update.cpu_burst.map(Value::from)),
            ("shares", update.cpu_share.map(Value::from)),
            ("realtimePeriod", update.cpu_rt_period.map(Value::from)),
            ("realtimeRuntime", update.cpu_rt_runtime.map(Value::from)),
            ("cpus", update.cpuset_cpus.clone().map(Value::from)),
            ("mems", update.cpuset_mems.clone().map(Value::from)),
            ("idle", update.cpu_idle.map(Value::from)),
        ]),
        "memory": given(vec![
            ("limit", size(&update.memory)?.map(Value::from)),
            ("reservation", size(&update.memory_reservation)?.map(Value::from)),
            ("swap", size(&update.memory_swap)?.map(Value::from)),
        ]),
        "blockIO": given(vec![("weight", update.blkio_weight.map(Value::from))]),
    });
    let mut value = value;
    if let Some(limit) = update.pids_limit {
        value["pids"] = json!({"limit": limit});
    }
    serde_json::from_value(value).map_err(|error| Failed::Usage(error.to_string()))
}

/// `512m`, `1g`, `-1`. Source: runc update(8).
fn bytes(text: &str) -> Result<i64, Failed> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(['b', 'i']);
    let (digits, factor) = match digits.chars().last() {
        Some('k') => (&digits[..digits.len() - 1], 1 << 10),
        Some('m') => (&digits[..digits.len() - 1], 1 << 20),
        Some('g') => (&digits[..digits.len() - 1], 1 << 30),
        Some('t') => (&digits[..digits.len() - 1], 1 << 40),
        _ => (digits, 1_i64),
    };
    let number: Option<i64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| Failed::Usage(format!("{text:?} is no size")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, number) in [
            ("0", 0),
            ("-1", -1),
            ("12", 12),
            ("1k", 1024),
            ("2MiB", 2 << 20),
            ("1gb", 1 << 30),
        ] {
            assert_eq!(bytes(text).unwrap(), number, "{text}");
        }
        for bad in ["", "m", "1x", "99999999999999999999", "9223372036854775807k"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
