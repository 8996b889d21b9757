//! The state of a build as BuildKit's messages tell it: steps in the order in which they were first heard of.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexStatus, VertexWarning};

/// Lines of a step's output that are kept for when it fails.
const KEPT_LINES: usize = 100;
/// A line longer than this is cut (bytes): a step may print without line ends.
const LONGEST_LINE: usize = 16 << 10;

/// The state of a build.
#[derive(Debug)]
pub(super) struct Model {
    steps: Vec<Step>,
    by_digest: HashMap<String, usize>,
    warnings: Vec<String>,
    begin: Instant,
}

/// One step.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) name: String,
    pub(super) started: Option<Duration>,
    pub(super) completed: Option<Duration>,
    /// When we first heard that it runs, for its clock.
    pub(super) seen_running: Option<Instant>,
    pub(super) is_cached: bool,
    pub(super) error: String,
    /// Parts of it, as layers that are transferred.
    pub(super) parts: Vec<Part>,
    /// Whole lines of output; the first is number [`Self::dropped`].
    lines: Vec<Line>,
    /// Lines of output that are not kept any more.
    pub(super) dropped: usize,
    /// The beginning of a line.
    open: Vec<u8>,
    open_at: f64,
}

/// A line of output.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Seconds since the step started.
    pub(super) at: f64,
    pub(super) text: String,
}

/// A part of a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    pub(super) id: String,
    pub(super) current: u64,
    pub(super) total: u64,
    pub(super) started: Option<Duration>,
    pub(super) completed: Option<Duration>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Done,
    Cached,
    Cancelled,
    Failed,
}

impl Step {
    pub(super) fn state(&self) -> State {
        if !self.error.is_empty() {
            return if self.error.ends_with("context canceled") {
                State::Cancelled
            } else {
                State::Failed
            };
        }
        match (self.started, self.completed) {
            _ if self.is_cached => State::Cached,
            (Some(_), Some(_)) => State::Done,
            (Some(_), None) => State::Running,
            (None, _) => State::Waiting,
        }
    }

    /// How long it took, or takes.
    pub(super) fn duration(&self) -> Duration {
        match (self.started, self.completed) {
            (Some(started), Some(completed)) => completed.saturating_sub(started),
            _ => self.seen_running.map_or(Duration::ZERO, |seen| seen.elapsed()),
        }
    }

    /// Lines from number `from` on.
    pub(super) fn lines_from(&self, from: usize) -> &[Line] {
        self.lines.get(from.saturating_sub(self.dropped)..).unwrap_or_default()
    }

    /// How many lines it has printed.
    pub(super) fn line_count(&self) -> usize {
        self.dropped + self.lines.len()
    }

    /// The end of its output, times before the lines.
    pub(super) fn last_lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(|line| format!("{:.3} {}", line.at, line.text))
    }

    fn log(&mut self, at: f64, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            if self.open.is_empty() {
                self.open_at = at;
            }
            self.open.extend_from_slice(line);
            self.close_line();
            rest = after.get(1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            if self.open.is_empty() {
                self.open_at = at;
            }
            self.open.extend_from_slice(rest);
            if self.open.len() > LONGEST_LINE {
                self.close_line();
            }
        }
    }

    fn close_line(&mut self) {
        let bytes = std::mem::take(&mut self.open);
        // Of a line that overwrites itself the last state counts.
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        let last = bytes.rsplit(|byte| *byte == b'\r').next().unwrap_or_default();
        self.lines.push(Line {
            at: self.open_at,
            text: printable(&String::from_utf8_lossy(last)),
        });
        if self.lines.len() > KEPT_LINES * 2 {
            self.lines.drain(..KEPT_LINES);
            self.dropped += KEPT_LINES;
        }
    }
}

/// Output of a build step must not steer the terminal: other controls than tabs and colours go.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                // A control sequence up to its final byte; colours (`m`) alone stay.
                if characters.next_if_eq(&'[').is_some() {
                    let mut sequence = String::new();
                    while let Some(part) = characters.next_if(|c| c.is_ascii_digit() || matches!(c, ';' | '?')) {
                        sequence.push(part);
                    }
                    if characters.next() == Some('m') {
                        out.push_str(&format!("\u{1b}[{sequence}m"));
                    }
                }
            }
            '\t' => out.push('\t'),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    if out.contains('\u{1b}') {
        out.push_str("\u{1b}[0m");
    }
    out
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            steps: Vec::new(),
            by_digest: HashMap::new(),
            warnings: Vec::new(),
            begin: Instant::now(),
        }
    }

    /// Takes a message.
    pub(super) fn update(&mut self, status: &StatusResponse) {
        for vertex in &status.vertexes {
            self.vertex(vertex);
        }
        for part in &status.statuses {
            self.part(part);
        }
        for log in &status.logs {
            let at = log.timestamp.as_ref().map(since_epoch).unwrap_or_default();
            if let Some(step) = self.step_mut(&log.vertex) {
                let begin = step.started.unwrap_or(at);
                step.log(at.saturating_sub(begin).as_secs_f64(), &log.msg);
            }
        }
        self.warnings.extend(status.warnings.iter().map(warning));
    }

    /// The steps in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Those that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.state() == State::Failed)
    }

    /// What the builder warns of.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How long the build takes.
    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    fn step_mut(&mut self, digest: &str) -> Option<&mut Step> {
        let at = *self.by_digest.get(digest)?;
        self.steps.get_mut(at)
    }

    fn vertex(&mut self, vertex: &Vertex) {
        let at = *self.by_digest.entry(vertex.digest.clone()).or_insert_with(|| {
            self.steps.push(Step::default());
            self.steps.len() - 1
        });
        let Some(step) = self.steps.get_mut(at) else { return };
        if !vertex.name.is_empty() {
            step.name = printable(&vertex.name.replace('\n', " "));
        }
        if let Some(started) = &vertex.started {
            step.started = Some(since_epoch(started));
            step.seen_running.get_or_insert_with(Instant::now);
        }
        if let Some(completed) = &vertex.completed {
            step.completed = Some(since_epoch(completed));
            if !step.open.is_empty() {
                step.close_line();
            }
        }
        step.is_cached |= vertex.cached;
        if !vertex.error.is_empty() {
            step.error = printable(&vertex.error);
        }
    }

    fn part(&mut self, status: &VertexStatus) {
        let Some(step) = self.step_mut(&status.vertex) else {
            return;
        };
        let part = Part {
            id: printable(&status.id),
            current: u64::try_from(status.current).unwrap_or(0),
            total: u64::try_from(status.total).unwrap_or(0),
            started: status.started.as_ref().map(since_epoch),
            completed: status.completed.as_ref().map(since_epoch),
        };
        match step.parts.iter_mut().find(|known| known.id == part.id) {
            Some(known) => *known = part,
            None => step.parts.push(part),
        }
    }
}

fn warning(warning: &VertexWarning) -> String {
    printable(&String::from_utf8_lossy(&warning.short))
}

fn since_epoch(timestamp: &Timestamp) -> Duration {
    let seconds = u64::try_from(timestamp.seconds).unwrap_or(0);
    let nanos = u32::try_from(timestamp.nanos).unwrap_or(0).min(999_999_999);
    Duration::new(seconds, nanos)
}

/// A timestamp in RFC 3339, for programs.
pub(super) fn rfc3339(timestamp: &Timestamp) -> String {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let at: SystemTime = UNIX_EPOCH + since_epoch(timestamp);
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_into_lines_and_cannot_steer_the_terminal() {
        let mut step = Step::default();
        step.log(0.5, b"par");
        step.log(0.7, b"tial\nprogress 1\rprogress 2\r\n\x1b[31mred\x1b[2J\x07\n");
        let lines: Vec<String> = step.last_lines().collect();
        assert_eq!(
            lines,
            ["0.500 partial", "0.700 progress 2", "0.700 \u{1b}[31mred\u{1b}[0m"]
        );
    }

    #[test]
    fn old_lines_are_dropped_and_their_numbers_stay() {
        let mut step = Step::default();
        for number in 0..1000 {
            step.log(0.0, format!("{number}\n").as_bytes());
        }
        assert_eq!(step.line_count(), 1000);
        assert!(step.last_lines().count() <= 200);
        assert_eq!(step.lines_from(999)[0].text, "999");
        assert!(step.lines_from(1000).is_empty());
    }
}
