//! Times as the API writes and reads them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::ApiError;

/// What Docker writes for "never".
pub(crate) const ZERO: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with nanoseconds, UTC.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| ZERO.to_owned())
}

/// RFC 3339, or Docker's word for "never".
pub(crate) fn rfc3339_or_zero(at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| ZERO.to_owned(), rfc3339)
}

/// `seconds` or `seconds.nanoseconds` since 1970, or RFC 3339; empty and 0 mean none.
pub(crate) fn parse(text: Option<&str>) -> Result<Option<OffsetDateTime>, ApiError> {
    let Some(text) = text.filter(|text| !matches!(*text, "" | "0")) else {
        return Ok(None);
    };
    let unix = || {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos: i128 = match fraction.get(..9.min(fraction.len())) {
            Some("") | None => 0,
            Some(digits) => format!("{digits:0<9}").parse().ok()?,
        };
        let seconds: i128 = seconds.parse().ok()?;
        OffsetDateTime::from_unix_timestamp_nanos(seconds * 1_000_000_000 + nanos).ok()
    };
    unix()
        .or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok())
        .map(Some)
        .ok_or_else(|| {
            ApiError::bad_request(format!(
                "invalid time {text:?}: expected seconds since 1970 or RFC 3339"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let second = OffsetDateTime::from_unix_timestamp(1).unwrap();
        assert_eq!(parse(Some("1")).unwrap(), Some(second));
        assert_eq!(parse(Some("1.5")).unwrap().unwrap().nanosecond(), 500_000_000);
        assert_eq!(parse(Some("1970-01-01T00:00:01Z")).unwrap(), Some(second));
        assert_eq!(parse(Some("")).unwrap(), None);
        assert!(parse(Some("yesterday")).is_err());
        assert_eq!(rfc3339_or_zero(None), ZERO);
    }
}
