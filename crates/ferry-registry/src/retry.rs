//! When to try again: pauses that grow, and what registries ask for.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::{Error, Retry, TransportError};

/// The pauses between the attempts of one request or blob.
pub(crate) struct Backoff {
    retry: Retry,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Self {
        Self { retry, failures: 0 }
    }

    /// How long to wait before the next attempt; `None` when there is none.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.retry.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= self.retry.max_retry_after).then_some(asked);
        }
        let doubled = self.retry.first_delay.saturating_mul(1 << (self.failures - 1).min(16));
        let base = doubled.min(self.retry.max_delay);
        Some(base + base.mul_f64(random_fraction() / 4.0))
    }

    /// Something was achieved since the last failure: begin anew.
    pub(crate) fn progressed(&mut self) {
        self.failures = 0;
    }
}

/// Whether another attempt may end better.
pub(crate) fn is_transient_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 520..=529)
}

/// Whether another attempt may end better, once the registry has been reached at all.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Transport { cause, .. } => !matches!(cause, TransportError::Certificate(_) | TransportError::NotTls),
        Error::Status { status, .. } => is_transient_status(*status),
        _ => false,
    }
}

/// `Retry-After`: seconds or a date. Source: RFC 9110 section 10.2.3.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Between 0 and 1; spreads the attempts of many clients.
fn random_fraction() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let retry = Retry {
            attempts: 5,
            first_delay: Duration::from_millis(100),
            max_delay: Duration::from_millis(300),
            max_retry_after: Duration::from_secs(5),
        };
        let mut backoff = Backoff::new(retry);
        for base_ms in [100, 200, 300] {
            let pause = backoff.pause(None).unwrap().as_millis();
            assert!((base_ms..=base_ms + base_ms / 4).contains(&pause), "{pause}");
        }
        backoff.progressed();
        assert_eq!(
            backoff.pause(Some(Duration::from_secs(5))),
            Some(Duration::from_secs(5))
        );
        assert_eq!(backoff.pause(Some(Duration::from_secs(6))), None, "longer than allowed");
        assert!(backoff.pause(None).is_some());
        assert!(backoff.pause(None).is_some());
        assert_eq!(backoff.pause(None), None, "attempts are used up");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        for (value, expected_s) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Wed, 21 Oct 2015 07:28:09 GMT", Some(9)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(retry_after(value, now), expected_s.map(Duration::from_secs), "{value}");
        }
    }
}
