//! One line of Docker's json-file format.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Which stream an entry came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line, or a part of 16 KiB of a longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Which stream it came from.
    pub stream: LogStream,
    /// When it was written: RFC 3339 in UTC with nine digits of the second, so that times sort as text.
    pub time: &'a str,
    /// The bytes, the line's end included.
    pub bytes: &'a [u8],
}

/// Memory for what a line says when it is not in the line as it is.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    time: String,
}

/// The form of [`LogEntry::time`].
pub(super) fn time_text(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");
    let time = time.to_offset(time::UtcOffset::UTC);
    time.format(format).expect("a year of four digits")
}

/// What a line, its end included, says; `None` for one that a power cut left damaged.
pub(super) fn parse<'a>(line: &'a [u8], scratch: &'a mut Scratch) -> Option<LogEntry<'a>> {
    match Fields::of(line) {
        Some(fields) => Some(LogEntry {
            stream: fields.stream,
            time: fields.time,
            bytes: match fields.text {
                Text::Line(text) => {
                    scratch.bytes.clear();
                    scratch.bytes.extend_from_slice(text);
                    scratch.bytes.push(b'\n');
                    &scratch.bytes
                }
                Text::Part(text) => text,
            },
        }),
        None => parse_any(line, scratch),
    }
}

/// A line as Ferry writes it, when nothing in it but the line's end is escaped: most lines, and the reason that this
/// is quick.
struct Fields<'a> {
    stream: LogStream,
    time: &'a str,
    text: Text<'a>,
}

enum Text<'a> {
    /// Without the line's end, which belongs to it.
    Line(&'a [u8]),
    /// A part that is not the line's last.
    Part(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        const TIME: usize = "2006-01-02T15:04:05.999999999Z".len();
        let rest = line.strip_prefix(b"{\"log\":\"")?.strip_suffix(b"\"}\n")?;
        let (rest, time) = rest.split_at_checked(rest.len().checked_sub(TIME)?)?;
        let (rest, stream) = if let Some(rest) = rest.strip_suffix(b"\",\"stream\":\"stdout\",\"time\":\"") {
            (rest, LogStream::Stdout)
        } else {
            let rest = rest.strip_suffix(b"\",\"stream\":\"stderr\",\"time\":\"")?;
            (rest, LogStream::Stderr)
        };
        let text = match memchr::memchr2(b'\\', b'"', rest) {
            None => Text::Part(rest),
            Some(at) if rest.get(at..) == Some(b"\\n") => Text::Line(rest.get(..at)?),
            Some(_) => return None,
        };
        Some(Self {
            stream,
            time: std::str::from_utf8(time).ok().filter(|time| is_time(time.as_bytes()))?,
            text,
        })
    }
}

/// Whether it is in the form of [`LogEntry::time`].
fn is_time(text: &[u8]) -> bool {
    let form = b"0000-00-00T00:00:00.000000000Z";
    text.len() == form.len()
        && text.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// Any line of JSON with the right names.
fn parse_any<'a>(line: &[u8], scratch: &'a mut Scratch) -> Option<LogEntry<'a>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        log: std::borrow::Cow<'a, str>,
        stream: &'a str,
        time: &'a str,
    }
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    scratch.bytes.clear();
    scratch.bytes.extend_from_slice(line.log.as_bytes());
    scratch.time.clear();
    if is_time(line.time.as_bytes()) {
        scratch.time.push_str(line.time);
    } else {
        scratch.time = time_text(OffsetDateTime::parse(line.time, &Rfc3339).ok()?);
    }
    Some(LogEntry {
        stream: match line.stream {
            "stdout" => LogStream::Stdout,
            "stderr" => LogStream::Stderr,
            _ => return None,
        },
        time: &scratch.time,
        bytes: &scratch.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_docker_s_json_file() {
        const NINE: &str = "2026-01-02T03:04:05.600000000Z";
        let check = |line: &str, stream, bytes: &[u8]| {
            let mut scratch = Scratch::default();
            let entry = parse(line.as_bytes(), &mut scratch);
            let time = NINE;
            assert_eq!(entry, Some(LogEntry { stream, time, bytes }), "{line}");
        };
        let (out, err) = (LogStream::Stdout, LogStream::Stderr);
        let with = |text: &str, stream: &str, time: &str| {
            format!("{{\"log\":\"{text}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
        };
        check(&with("a\\u0000\\n", "stderr", "2026-01-02T03:04:05.6Z"), err, b"a\0\n");
        check(&with("a\\u0000\\n", "stderr", NINE), err, b"a\0\n");
        check(&with("plain\\n", "stdout", NINE), out, b"plain\n");
        check(&with("\\n", "stderr", NINE), err, b"\n");
        check(&with("a part", "stdout", NINE), out, b"a part");
        check(&with("back\\\\n", "stdout", NINE), out, b"back\\n");
        check(&with("\\\\\\n", "stdout", NINE), out, b"\\\n");
        check(&with("\\\"q\\\"\\n", "stdout", NINE), out, b"\"q\"\n");
        check(
            &with("2026-01-02T04:04:05.6+01:00", "stdout", "2026-01-02T04:04:05.6+01:00"),
            out,
            b"2026-01-02T04:04:05.6+01:00",
        );
    }

    #[test]
    fn damaged_lines_are_passed_over() {
        let whole = "{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.000000000Z\"}\n";
        let mut scratch = Scratch::default();
        assert!(parse(whole.as_bytes(), &mut scratch).is_some());
        for bad in [
            "",
            "{",
            "\n",
            "\0\0\0\0\n",
            r#"{"log":"x","stream":"other","time":"2026-01-02T03:04:05Z"}"#,
            &whole[3..],
            &format!("{}{whole}", &whole[..20]),
            &whole.replace("05.0", "0x.0"),
        ] {
            assert_eq!(parse(bad.as_bytes(), &mut scratch), None, "{bad}");
        }
    }
}
