//! Sizes in bytes as Docker prints and reads them.

const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];
const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];

/// `1234567` as `1.23MB`: powers of 1000, three significant digits.
pub(crate) fn human(bytes: u64) -> String {
    with_digits(bytes, 3)
}

/// As `docker ps -s` and `docker system df`: `1.235MB`, four significant digits.
pub(crate) fn precise(bytes: u64) -> String {
    with_digits(bytes, 4)
}

/// Size that Docker's API may give as a negative number when it is unknown.
pub(crate) fn human_signed(bytes: i64) -> String {
    u64::try_from(bytes).map_or_else(|_| "N/A".to_owned(), human)
}

/// As memory is shown: `1.5MiB`, powers of 1024, four significant digits.
pub(crate) fn binary(bytes: u64) -> String {
    scaled(bytes, 4, 1024.0, &BINARY)
}

fn with_digits(bytes: u64, digits: usize) -> String {
    scaled(bytes, digits, 1000.0, &DECIMAL)
}

fn scaled(bytes: u64, digits: usize, base: f64, units: &[&str]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// C's `%.{digits}g` for values below 1000: no zeros at the end.
fn significant(value: f64, digits: usize) -> String {
    let before_point = match value {
        v if v >= 1000.0 => 4,
        v if v >= 100.0 => 3,
        v if v >= 10.0 => 2,
        _ => 1,
    };
    let text = format!("{value:.*}", digits.saturating_sub(before_point));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A size that is no size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid size {0:?}: expected a number with b, k, m, g or t")]
pub(crate) struct InvalidSize(String);

/// Reads `64m`, `1.5GiB`, `100`: powers of 1024, as memory limits are given (bytes).
pub(crate) fn parse_binary(text: &str) -> Result<i64, InvalidSize> {
    let invalid = || InvalidSize(text.to_owned());
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let power = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(invalid()),
    };
    let factor = 1024_i64.pow(power);
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(factor).ok_or_else(invalid);
    }
    let value: f64 = number.parse().map_err(|_| invalid())?;
    #[expect(clippy::cast_precision_loss, reason = "a factor is a power of two")]
    let bytes = value * factor as f64;
    if !(0.0..9.2e18).contains(&bytes) {
        return Err(invalid());
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked above; fractions of a byte are dropped"
    )]
    Ok(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_as_docker_prints_them() {
        for (bytes, three, four) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (4_261_502, "4.26MB", "4.262MB"),
            (77_900_000, "77.9MB", "77.9MB"),
            (123_456_789, "123MB", "123.5MB"),
            (1_220_000_000, "1.22GB", "1.22GB"),
        ] {
            assert_eq!(human(bytes), three);
            assert_eq!(precise(bytes), four);
        }
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1_572_864, "1.5MiB"),
            (8_123_456_789, "7.566GiB"),
        ] {
            assert_eq!(binary(bytes), text);
        }
    }

    #[test]
    fn limits_are_read_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("64m", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2GiB", Some(2 << 30)),
            ("1 kb", Some(1024)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("1z", None),
            ("99999999t", None),
            ("1.2.3m", None),
        ] {
            assert_eq!(parse_binary(text).ok(), bytes, "{text}");
        }
    }
}
