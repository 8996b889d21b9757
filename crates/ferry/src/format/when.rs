//! Times as people give them: `--since 10m`, `--until 2026-08-01T10:00:00Z`, and as Docker shows them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// A time that is no time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid time {0:?}: expected RFC 3339, seconds since 1970, or a duration such as 10m")]
pub(crate) struct InvalidTime(String);

/// Reads a point in time and writes it as the API takes it: `seconds.nanoseconds` since 1970.
pub(crate) fn for_api(text: &str, now: SystemTime) -> Result<String, InvalidTime> {
    let invalid = || InvalidTime(text.to_owned());
    if is_seconds(text) {
        return Ok(text.to_owned());
    }
    if let Some(ago) = duration(text) {
        let then = now.checked_sub(ago).unwrap_or(UNIX_EPOCH);
        // Before 1970 nothing was logged.
        let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(format!("{}.{:09}", since.as_secs(), since.subsec_nanos()));
    }
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| without_offset(text))
        .ok_or_else(invalid)?;
    Ok(format!("{}.{:09}", at.unix_timestamp(), at.nanosecond()))
}

fn is_seconds(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

/// Without an offset, UTC is meant.
fn without_offset(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim_end_matches('Z');
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second][optional [.[subsecond]]]");
    let minutes = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let day = format_description!("[year]-[month]-[day]");
    PrimitiveDateTime::parse(text, &seconds)
        .or_else(|_| PrimitiveDateTime::parse(text, &minutes))
        .or_else(|_| Date::parse(text, &day).map(Date::midnight))
        .map(PrimitiveDateTime::assume_utc)
        .ok()
}

/// Reads a duration as Go writes it: `1h30m`, `1.5s`, `200ms`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let (unit, next) = rest.split_at(letters);
        total += value
            * match unit {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = next;
    }
    Duration::try_from_secs_f64(total).ok()
}

/// A unix time as Docker's lists show it: `2026-08-01 10:00:00 +0000 UTC`.
pub(crate) fn in_list(unix_seconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] +0000 UTC");
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|at| at.format(&format).ok())
        .unwrap_or_default()
}

/// A unix time in RFC 3339.
pub(crate) fn rfc3339(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_of_docker_s_forms() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        for (text, api) in [
            ("10m", Some("400.000000000")),
            ("1h30m", Some("0.000000000")),
            ("1.5s", Some("998.500000000")),
            ("123", Some("123")),
            ("123.5", Some("123.5")),
            ("1970-01-02", Some("86400.000000000")),
            ("1970-01-01T00:01", Some("60.000000000")),
            ("1970-01-01T00:00:10", Some("10.000000000")),
            ("1970-01-01T02:00:00.5+02:00", Some("0.500000000")),
            ("yesterday", None),
            ("", None),
            ("10x", None),
        ] {
            assert_eq!(for_api(text, now).ok().as_deref(), api, "{text}");
        }
    }

    #[test]
    fn times_are_shown_as_docker_shows_them() {
        assert_eq!(in_list(86_400), "1970-01-02 00:00:00 +0000 UTC");
        assert_eq!(rfc3339(86_400), "1970-01-02T00:00:00Z");
    }
}
