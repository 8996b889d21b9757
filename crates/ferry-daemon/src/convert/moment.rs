//! A moment as filters name it: an absolute time, or a duration before now.

use std::time::Duration;

use time::OffsetDateTime;

use super::time as api_time;
use crate::error::ApiError;

/// Seconds since 1970, RFC 3339, or a Go duration (`1h30m`) before now.
pub(crate) fn parse(text: &str) -> Result<OffsetDateTime, ApiError> {
    if let Some(duration) = go_duration(text) {
        return Ok(OffsetDateTime::now_utc() - duration);
    }
    api_time::parse(Some(text))?.ok_or_else(|| ApiError::bad_request(format!("invalid time {text:?}")))
}

/// Go's `time.ParseDuration`, without fractions and signs: numbers with units, as `1h30m`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match rest.get(..unit_len)? {
            "h" => Duration::from_secs(3600),
            "m" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = rest.get(unit_len..)?;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, seconds) in [
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("90s", Some(90)),
            ("", None),
            ("1", None),
            ("h", None),
            ("1d", None),
            ("99999999999h", None),
        ] {
            assert_eq!(go_duration(text).map(|duration| duration.as_secs()), seconds, "{text}");
        }
        assert!(parse("10m").is_ok());
        assert!(parse("2026-01-01T00:00:00Z").is_ok());
        assert!(parse("yesterday").is_err());
    }
}
