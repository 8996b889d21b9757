//! Progress on a terminal: a line a step with its clock, the output of running steps below it, drawn again in place.

use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr;

use super::model::{Model, State, Step};
use crate::format::{size, table};
use crate::terminal;

/// Least time between two drawings.
const FRAME: Duration = Duration::from_millis(80);
/// Lines of output that are shown of a running step.
const OUTPUT_LINES: usize = 6;
/// What is assumed of a terminal that does not tell its size.
const DEFAULT_SIZE: terminal::Size = terminal::Size { rows: 24, columns: 80 };

/// What is on the screen.
pub(super) struct Tty {
    /// Lines that were drawn last, to be drawn over.
    drawn: usize,
    last: Option<Instant>,
    colour: bool,
}

impl Tty {
    pub(super) fn new() -> Self {
        Self {
            drawn: 0,
            last: None,
            colour: terminal::stderr_takes_colour(),
        }
    }

    /// The next picture, when it is time for one.
    pub(super) fn draw(&mut self, model: &Model) -> String {
        if model.steps().is_empty() || self.last.is_some_and(|last| last.elapsed() < FRAME) {
            return String::new();
        }
        self.last = Some(Instant::now());
        let size = terminal::stderr_size().unwrap_or(DEFAULT_SIZE);
        let room = usize::from(size.rows).saturating_sub(1).max(2);
        let mut lines = self.lines(model, usize::from(size.columns), Detail::Running);
        if lines.len() > room {
            // The head stays; of the rest the end is what moves.
            let rest = lines.len() - (room - 1);
            lines.drain(1..=rest);
        }
        self.over(&lines)
    }

    /// The last picture, whole: it scrolls if it must.
    pub(super) fn finish(&mut self, model: &Model) -> String {
        if model.steps().is_empty() {
            return String::new();
        }
        let size = terminal::stderr_size().unwrap_or(DEFAULT_SIZE);
        let lines = self.lines(model, usize::from(size.columns), Detail::None);
        let out = self.over(&lines);
        self.drawn = 0;
        out
    }

    /// Draws over what was drawn last.
    fn over(&mut self, lines: &[String]) -> String {
        let mut out = String::new();
        if self.drawn > 0 {
            out.push_str(&format!("\u{1b}[{}A", self.drawn));
        }
        for line in lines {
            out.push_str(line);
            // Clears what an older, longer line left.
            out.push_str("\u{1b}[K\n");
        }
        // Clears older lines below.
        out.push_str("\u{1b}[J");
        self.drawn = lines.len();
        out
    }

    fn lines(&self, model: &Model, columns: usize, detail: Detail) -> Vec<String> {
        let steps = model.steps();
        let ended = steps
            .iter()
            .filter(|step| !matches!(step.state(), State::Waiting | State::Running))
            .count();
        let is_over = ended == steps.len();
        let head = format!(
            "[+] Building {:.1}s ({ended}/{}){}",
            model.elapsed().as_secs_f64(),
            steps.len(),
            if is_over { " FINISHED" } else { "" }
        );
        let mut lines = vec![table::shorten(&head, columns)];
        let mut begun: Vec<&Step> = steps.iter().filter(|step| step.state() != State::Waiting).collect();
        begun.sort_by_key(|step| step.started);
        for step in begun {
            lines.push(self.line(step, columns));
            if detail == Detail::Running && step.state() == State::Running {
                lines.extend(parts(step, columns));
                let from = step.line_count().saturating_sub(OUTPUT_LINES);
                lines.extend(
                    step.lines_from(from)
                        .iter()
                        .map(|line| table::shorten(&format!(" => => # {}", without_colour(&line.text)), columns)),
                );
            }
        }
        lines
    }

    fn line(&self, step: &Step, columns: usize) -> String {
        let (mark, colour) = match step.state() {
            State::Cached => ("CACHED ", "34"),
            State::Failed => ("ERROR ", "31"),
            State::Cancelled => ("CANCELED ", "33"),
            State::Done => ("", "34"),
            State::Running | State::Waiting => ("", "0"),
        };
        let clock = format!("{:.1}s", step.duration().as_secs_f64());
        let room = columns.saturating_sub(clock.width() + 1);
        let text = table::shorten(&format!(" => {mark}{}", step.name), room);
        let gap = " ".repeat(columns.saturating_sub(text.width() + clock.width()));
        if self.colour && colour != "0" {
            format!("\u{1b}[{colour}m{text}{gap}{clock}\u{1b}[0m")
        } else {
            format!("{text}{gap}{clock}")
        }
    }
}

/// What is shown of steps beside their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    Running,
    None,
}

fn parts(step: &Step, columns: usize) -> Vec<String> {
    step.parts
        .iter()
        .filter(|part| part.completed.is_none())
        .map(|part| {
            let progress = match (part.current, part.total) {
                (0, 0) => String::new(),
                (current, 0) => format!(" {}", size::precise(current)),
                (current, total) => format!(" {} / {}", size::precise(current), size::precise(total)),
            };
            table::shorten(&format!(" => => {}{progress}", part.id), columns)
        })
        .collect()
}

/// Colours would be cut in the middle; the width counts characters that show.
fn without_colour(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_buildkit_proto::google::protobuf::Timestamp;
    use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex};

    #[test]
    fn a_step_is_a_line_with_its_clock_at_the_right() {
        let mut model = Model::new();
        model.update(&StatusResponse {
            vertexes: vec![Vertex {
                digest: "a".into(),
                name: "[2/3] RUN something that is far too long for the line".into(),
                started: Some(Timestamp { seconds: 1, nanos: 0 }),
                completed: Some(Timestamp {
                    seconds: 3,
                    nanos: 500_000_000,
                }),
                ..Vertex::default()
            }],
            ..StatusResponse::default()
        });
        let tty = Tty {
            drawn: 0,
            last: None,
            colour: false,
        };
        let lines = tty.lines(&model, 30, Detail::None);
        assert_eq!(lines[0], "[+] Building 0.0s (1/1) FINIS…");
        assert_eq!(lines[1], " => [2/3] RUN something … 2.5s");
    }

    #[test]
    fn colours_of_output_are_taken_out() {
        assert_eq!(without_colour("\u{1b}[31mred\u{1b}[0m\tx"), "red    x");
    }
}
