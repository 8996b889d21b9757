//! Progress as one line after another, as BuildKit prints it: `#5 [linux/arm64 2/4] RUN make`.
//!
//! Steps run side by side; one at a time has the word until it ends or says nothing for a while.

use std::time::{Duration, Instant};

use super::model::{Model, State, Step};
use crate::format::size;

/// How long a step that says nothing keeps the word while others have something to say.
const PATIENCE: Duration = Duration::from_millis(1000);

/// What was printed.
pub(super) struct Plain {
    printed: Vec<Printed>,
    /// Steps that have a number: they get one when they are printed first.
    numbered: usize,
    /// The step that has the word.
    speaker: Option<usize>,
    spoke: Instant,
}

/// What was printed of one step.
#[derive(Debug, Clone, Default)]
struct Printed {
    /// Counted from 1; 0 before its name was printed.
    number: usize,
    lines: usize,
    parts: Vec<String>,
    end: bool,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self {
            printed: Vec::new(),
            numbered: 0,
            speaker: None,
            spoke: Instant::now(),
        }
    }

    /// What is to be printed now.
    pub(super) fn print(&mut self, model: &Model) -> String {
        self.go_on(model, PATIENCE)
    }

    /// All that is left.
    pub(super) fn finish(&mut self, model: &Model) -> String {
        self.go_on(model, Duration::ZERO)
    }

    fn go_on(&mut self, model: &Model, patience: Duration) -> String {
        let mut out = String::new();
        self.printed.resize(model.steps().len(), Printed::default());
        loop {
            let Some(speaker) = self.speaker.or_else(|| self.next_speaker(model)) else {
                return out;
            };
            let (Some(step), Some(printed)) = (model.steps().get(speaker), self.printed.get_mut(speaker)) else {
                return out;
            };
            if self.speaker.is_none() {
                self.speaker = Some(speaker);
                let is_new = printed.number == 0;
                if is_new {
                    self.numbered += 1;
                    printed.number = self.numbered;
                }
                let more = if is_new { "" } else { " ..." };
                out.push_str(&format!("#{} {}{more}\n", printed.number, step.name));
                self.spoke = Instant::now();
            }
            let text = say(step, printed);
            if !text.is_empty() {
                self.spoke = Instant::now();
                out.push_str(&text);
            }
            if printed.end {
                out.push('\n');
                self.speaker = None;
                continue;
            }
            let others_wait = self.next_speaker(model).is_some_and(|next| next != speaker);
            if !others_wait || self.spoke.elapsed() < patience {
                return out;
            }
            out.push('\n');
            self.speaker = None;
            if patience.is_zero() {
                // At the end each that has something to say says it once.
                let Some(next) = self.next_speaker(model) else {
                    return out;
                };
                if next == speaker {
                    return out;
                }
            }
        }
    }

    /// The first step with something to say.
    fn next_speaker(&self, model: &Model) -> Option<usize> {
        model
            .steps()
            .iter()
            .zip(&self.printed)
            .position(|(step, printed)| has_news(step, printed))
    }
}

fn has_news(step: &Step, printed: &Printed) -> bool {
    if printed.end || step.state() == State::Waiting {
        return false;
    }
    let ended = !matches!(step.state(), State::Running);
    printed.number == 0 || ended || step.line_count() > printed.lines
}

/// What a step says since it was printed last.
fn say(step: &Step, printed: &mut Printed) -> String {
    let number = printed.number;
    let mut out = String::new();
    for part in &step.parts {
        if part.completed.is_none() || printed.parts.contains(&part.id) {
            continue;
        }
        printed.parts.push(part.id.clone());
        let mut line = format!("#{number} {}", part.id);
        if part.total > 0 {
            line.push_str(&format!(
                " {} / {}",
                size::precise(part.current),
                size::precise(part.total)
            ));
        } else if part.current > 0 {
            line.push_str(&format!(" {}", size::precise(part.current)));
        }
        if let (Some(started), Some(completed)) = (part.started, part.completed) {
            line.push_str(&format!(" {:.1}s", completed.saturating_sub(started).as_secs_f64()));
        }
        out.push_str(&line);
        out.push_str(" done\n");
    }
    if step.dropped > printed.lines {
        out.push_str(&format!(
            "#{number} [{} lines left out]\n",
            step.dropped - printed.lines
        ));
    }
    for line in step.lines_from(printed.lines) {
        out.push_str(&format!("#{number} {:.3} {}\n", line.at, line.text));
    }
    printed.lines = step.line_count();
    let end = match step.state() {
        State::Waiting | State::Running => return out,
        State::Cached => "CACHED".to_owned(),
        State::Done => format!("DONE {:.1}s", step.duration().as_secs_f64()),
        State::Cancelled => "CANCELED".to_owned(),
        State::Failed => format!("ERROR: {}", step.error),
    };
    printed.end = true;
    out.push_str(&format!("#{number} {end}\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_buildkit_proto::google::protobuf::Timestamp;
    use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn vertex(digest: &str, completed: Option<i64>) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: format!("[{digest}] RUN"),
            started: at(10),
            completed: completed.and_then(at),
            ..Vertex::default()
        }
    }

    fn log(digest: &str, text: &str) -> VertexLog {
        VertexLog {
            vertex: digest.into(),
            timestamp: at(11),
            stream: 1,
            msg: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn one_step_has_the_word_at_a_time() {
        let mut model = Model::new();
        let mut plain = Plain::new();
        let mut out = String::new();
        for status in [
            StatusResponse {
                vertexes: vec![vertex("a", None), vertex("b", None)],
                ..StatusResponse::default()
            },
            StatusResponse {
                logs: vec![log("b", "of b\n"), log("a", "of a\n")],
                ..StatusResponse::default()
            },
            StatusResponse {
                vertexes: vec![vertex("a", Some(12))],
                ..StatusResponse::default()
            },
            StatusResponse {
                vertexes: vec![Vertex {
                    error: "exit code: 1".into(),
                    ..vertex("b", Some(13))
                }],
                ..StatusResponse::default()
            },
        ] {
            model.update(&status);
            out.push_str(&plain.print(&model));
        }
        out.push_str(&plain.finish(&model));
        assert_eq!(
            out,
            "#1 [a] RUN\n#1 1.000 of a\n#1 DONE 2.0s\n\n#2 [b] RUN\n#2 1.000 of b\n#2 ERROR: exit code: 1\n\n"
        );
    }
}
