//! Durations in words, as Docker prints them: `About a minute`, `3 weeks`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A duration in words.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Hours are rounded, minutes are not, as Docker does.
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago a time was, in words; times without meaning give `N/A`.
pub(crate) fn since(unix_seconds: i64, now: SystemTime) -> String {
    let Ok(then) = u64::try_from(unix_seconds) else {
        return "N/A".to_owned();
    };
    if then == 0 {
        return "N/A".to_owned();
    }
    let age = now
        .duration_since(UNIX_EPOCH + Duration::from_secs(then))
        .unwrap_or_default();
    format!("{} ago", human(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_docker_says_them() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3540, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (730 * 86400, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_means_nothing_has_no_age() {
        assert_eq!(since(0, SystemTime::now()), "N/A");
        assert_eq!(since(-62_135_596_800, SystemTime::now()), "N/A");
    }
}
