//! Output as lines of JSON: `{"log":"…\n","stream":"stdout","time":"2006-01-02T15:04:05.999999999Z"}`.
//!
//! Source: Docker's documentation of the json-file logging driver; the limit of 16 KiB a part is
//! Docker's too, and a part that is not the last of its line has no `\n` at its end.

use time::OffsetDateTime;

/// Which stream output came from; with a terminal everything is stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Turns bytes into lines of JSON.
#[derive(Debug)]
pub(super) struct LineEncoder {
    stream: Stream,
    /// Complete lines of JSON up to `complete`, then the beginning of one.
    out: Vec<u8>,
    complete: usize,
    /// Bytes of output in the line that has begun; `None` if none has.
    open: Option<usize>,
    /// The beginning of a character whose rest has not come yet.
    partial: Vec<u8>,
    /// `,"stream":…,"time":…}` and the line's end.
    tail: Vec<u8>,
}

/// The most output in one line of JSON.
const PART_MAX_BYTES: usize = 16 * 1024;

const HEAD: &[u8] = b"{\"log\":\"";
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// What a byte needs inside a JSON string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Plain,
    /// An escape.
    Escape,
    /// It ends the line.
    Newline,
    /// It is part of a longer character.
    Multibyte,
}

const NEEDS: [Need; 256] = {
    let mut needs = [Need::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        needs[byte] = match byte as u8 {
            b'\n' => Need::Newline,
            b'"' | b'\\' | 0..=0x1f | 0x7f => Need::Escape,
            0x80..=0xff => Need::Multibyte,
            _ => Need::Plain,
        };
        byte += 1;
    }
    needs
};

impl LineEncoder {
    pub(super) fn new(stream: Stream) -> LineEncoder {
        LineEncoder {
            stream,
            out: Vec::new(),
            complete: 0,
            open: None,
            partial: Vec::new(),
            tail: Vec::new(),
        }
    }

    /// The time of what is pushed from now on.
    pub(super) fn set_time(&mut self, now: OffsetDateTime) {
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        self.tail.clear();
        self.tail.extend_from_slice(b"\",\"stream\":\"");
        self.tail.extend_from_slice(stream.as_bytes());
        self.tail.extend_from_slice(b"\",\"time\":\"");
        push_time(&mut self.tail, now);
        self.tail.extend_from_slice(b"\"}\n");
    }

    /// Encodes output.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.partial.is_empty() {
            self.encode(bytes);
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            self.encode(&joined);
        }
    }

    /// Ends the line that has begun, as it is.
    pub(super) fn end(&mut self) {
        let partial = std::mem::take(&mut self.partial);
        if !partial.is_empty() {
            self.begin();
            self.out.extend_from_slice(REPLACEMENT);
        }
        if self.open.is_some() {
            self.close();
        }
    }

    /// The lines of JSON that are complete.
    pub(super) fn complete(&self) -> &[u8] {
        &self.out[..self.complete]
    }

    /// Forgets the complete lines.
    pub(super) fn drop_complete(&mut self) {
        self.out.drain(..self.complete);
        self.complete = 0;
    }

    /// Gives back memory.
    pub(super) fn shrink(&mut self) {
        self.out.shrink_to_fit();
        self.partial.shrink_to_fit();
    }

    fn encode(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let room = PART_MAX_BYTES - self.begin();
            if room == 0 {
                self.close();
                continue;
            }
            let window = &bytes[at..bytes.len().min(at + room)];
            let plain = window
                .iter()
                .position(|byte| NEEDS[usize::from(*byte)] != Need::Plain)
                .unwrap_or(window.len());
            if plain > 0 {
                self.add(&window[..plain], plain);
                at += plain;
                continue;
            }
            match NEEDS[usize::from(window[0])] {
                Need::Newline => {
                    self.add(b"\\n", 1);
                    self.close();
                    at += 1;
                }
                Need::Multibyte => match self.encode_character(&bytes[at..], room) {
                    Some(taken) => at += taken,
                    None => return,
                },
                Need::Escape | Need::Plain => {
                    self.escape(window[0]);
                    at += 1;
                }
            }
        }
    }

    /// Takes one character of several bytes; how many it took, or `None` if its end has not come.
    fn encode_character(&mut self, bytes: &[u8], room: usize) -> Option<usize> {
        match character(bytes) {
            Character::Whole(len) if len > room => {
                self.close();
                Some(0)
            }
            Character::Whole(len) => {
                self.add(&bytes[..len], len);
                Some(len)
            }
            Character::Invalid(len) => {
                self.add(REPLACEMENT, len);
                Some(len)
            }
            Character::Unfinished => {
                self.partial = bytes.to_vec();
                None
            }
        }
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let unicode = [
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ];
        let short = [b'\\', byte];
        let text: &[u8] = match byte {
            b'"' | b'\\' => &short,
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            _ => &unicode,
        };
        self.add(text, 1);
    }

    /// Makes sure that a line has begun; says how much output is in it.
    fn begin(&mut self) -> usize {
        *self.open.get_or_insert_with(|| {
            self.out.extend_from_slice(HEAD);
            0
        })
    }

    fn add(&mut self, text: &[u8], taken: usize) {
        self.out.extend_from_slice(text);
        self.open = self.open.map(|open| open + taken);
    }

    fn close(&mut self) {
        self.out.extend_from_slice(&self.tail);
        self.complete = self.out.len();
        self.open = None;
    }
}

enum Character {
    Whole(usize),
    Invalid(usize),
    Unfinished,
}

/// The character at the beginning of bytes that begin with one of several bytes.
fn character(bytes: &[u8]) -> Character {
    let window = &bytes[..bytes.len().min(4)];
    match std::str::from_utf8(window) {
        Ok(text) => Character::Whole(text.chars().next().map_or(1, char::len_utf8)),
        Err(error) if error.valid_up_to() > 0 => {
            let text = std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default();
            Character::Whole(text.chars().next().map_or(1, char::len_utf8))
        }
        Err(error) => match error.error_len() {
            Some(len) => Character::Invalid(len),
            None => Character::Unfinished,
        },
    }
}

/// RFC 3339 in UTC with nine digits of the second, so that lines sort.
fn push_time(out: &mut Vec<u8>, now: OffsetDateTime) {
    use std::io::Write;
    let now = now.to_offset(time::UtcOffset::UTC);
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.nanosecond(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-08-01T02:03:04.000000567Z";

    fn time() -> OffsetDateTime {
        OffsetDateTime::parse(TIME, &time::format_description::well_known::Rfc3339).unwrap()
    }

    fn encode(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut encoder = LineEncoder::new(Stream::Stderr);
        encoder.set_time(time());
        for piece in pieces {
            encoder.push(piece);
        }
        encoder.end();
        let text = String::from_utf8(encoder.complete().to_vec()).unwrap();
        text.lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["stream"], "stderr");
                let get = |key: &str| value[key].as_str().unwrap().to_owned();
                (get("log"), get("time"))
            })
            .collect()
    }

    fn check(pieces: &[&[u8]], want: &[&str]) {
        let got = encode(pieces);
        let logs: Vec<&str> = got.iter().map(|(log, _)| log.as_str()).collect();
        assert_eq!(logs, want);
        assert!(got.iter().all(|(_, time)| time == TIME));
    }

    #[test]
    fn lines_are_docker_s() {
        let mut encoder = LineEncoder::new(Stream::Stdout);
        encoder.set_time(time());
        encoder.push(b"hello\n");
        let want = format!("{{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"{TIME}\"}}\n");
        assert_eq!(encoder.complete(), want.as_bytes());
    }

    #[test]
    fn lines_are_split_where_they_end() {
        check(&[b"a\nb\n"], &["a\n", "b\n"]);
        check(&[b"a", b"b", b"\n\nc"], &["ab\n", "\n", "c"]);
        check(&[b"q\"\\\t\r\x00\x1b[0m\x7f\n"], &["q\"\\\t\r\0\u{1b}[0m\u{7f}\n"]);
        check(&[], &[]);
    }

    #[test]
    fn characters_survive_being_cut() {
        check(&["caf\u{e9} \u{1f600}\n".as_bytes()], &["café 😀\n"]);
        check(&[b"\xf0", b"\x9f\x98", b"\x80\n"], &["😀\n"]);
        check(&[b"x\xff\xfey\n"], &["x\u{fffd}\u{fffd}y\n"]);
        check(&[b"\xe2\x82"], &["\u{fffd}"]);
        check(&[b"\xe2\x82\n"], &["\u{fffd}\n"]);
    }

    #[test]
    fn long_lines_come_in_parts() {
        let long = vec![b'x'; PART_MAX_BYTES + 10];
        let got = encode(&[&long, b"\n"]);
        assert_eq!(
            got.iter().map(|(log, _)| log.len()).collect::<Vec<_>>(),
            [PART_MAX_BYTES, 11]
        );
        let mut odd = vec![b'x'; PART_MAX_BYTES - 1];
        odd.extend_from_slice("é\n".as_bytes());
        let got = encode(&[&odd]);
        assert_eq!(got[0].0.len(), PART_MAX_BYTES - 1);
        assert_eq!(got[1].0, "é\n");
    }

    #[test]
    fn what_is_incomplete_stays() {
        let mut encoder = LineEncoder::new(Stream::Stdout);
        encoder.set_time(time());
        encoder.push(b"one\ntwo");
        assert_eq!(encoder.complete().iter().filter(|byte| **byte == b'\n').count(), 1);
        encoder.drop_complete();
        assert!(encoder.complete().is_empty());
        encoder.push(b"three\n");
        assert!(encoder.complete().starts_with(b"{\"log\":\"twothree\\n\""));
    }
}
