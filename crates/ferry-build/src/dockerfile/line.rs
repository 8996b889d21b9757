//! Logical lines: physical lines joined at continuations, without comments, with the heredocs that follow them.

use super::Directives;
use super::error::{Fault, SyntaxResult};
use super::heredoc::{self, Heredoc};
use crate::LineRange;

/// One instruction's line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The text, joined, without leading white space.
    pub(crate) text: String,
    /// All physical lines it takes, heredocs included.
    pub(crate) lines: LineRange,
    /// Where in `text` each physical line begins.
    starts: Vec<(usize, u32)>,
    /// The heredocs it opens, in order.
    pub(crate) heredocs: Vec<Heredoc>,
    /// Whether an empty line stands within a continuation.
    pub(crate) has_empty_continuation: bool,
}

impl Line {
    /// The physical line that holds the byte at `offset`.
    pub(crate) fn line_at(&self, offset: usize) -> u32 {
        self.starts
            .iter()
            .rev()
            .find(|(start, _)| *start <= offset)
            .map_or(self.lines.first, |(_, line)| *line)
    }

    /// A line that is in no file: an ONBUILD trigger.
    pub(crate) fn of_trigger(text: &str) -> Self {
        Self {
            text: text.trim_start().to_owned(),
            lines: LineRange { first: 1, last: 1 },
            starts: vec![(0, 1)],
            heredocs: Vec::new(),
            has_empty_continuation: false,
        }
    }
}

/// Splits `text` into logical lines.
pub(crate) fn split(text: &str, directives: &Directives) -> SyntaxResult<Vec<Line>> {
    let mut lines = Vec::new();
    let mut physical = Physical {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        number: 0,
    };
    while let Some(first) = physical.next() {
        let first = first.trim_end_matches(['\n', '\r']);
        let trimmed = first.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let mut line = joined(trimmed, &mut physical, directives.escape);
        if line.text.trim().is_empty() {
            continue;
        }
        read_heredocs(&mut line, &mut physical, directives)?;
        lines.push(line);
    }
    Ok(lines)
}

/// The file's lines with their numbers; each with its line break.
struct Physical<'a> {
    rest: &'a str,
    number: u32,
}

impl<'a> Iterator for Physical<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.number = self.number.saturating_add(1);
        Some(line)
    }
}

fn joined(first: &str, physical: &mut Physical<'_>, escape: char) -> Line {
    let mut line = Line {
        text: String::new(),
        lines: LineRange {
            first: physical.number,
            last: physical.number,
        },
        starts: vec![(0, physical.number)],
        heredocs: Vec::new(),
        has_empty_continuation: false,
    };
    let (text, mut continues) = without_continuation(first, escape);
    line.text.push_str(text);
    while continues {
        let Some(next) = physical.next() else { break };
        line.lines.last = physical.number;
        let next = next.trim_end_matches(['\n', '\r']);
        let trimmed = next.trim();
        if trimmed.starts_with('#') {
            continue;
        }
        if trimmed.is_empty() {
            line.has_empty_continuation = true;
            continue;
        }
        line.starts.push((line.text.len(), physical.number));
        let text;
        (text, continues) = without_continuation(next, escape);
        line.text.push_str(text);
    }
    line
}

/// Cuts off a trailing escape character, which must not be escaped itself; blanks may follow it.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        Some(text) if !text.ends_with(escape) => (text, true),
        _ => (line, false),
    }
}

fn read_heredocs(line: &mut Line, physical: &mut Physical<'_>, directives: &Directives) -> SyntaxResult<()> {
    for opening in heredoc::openings(&line.text, directives.escape) {
        let mut content = String::new();
        let mut first = None;
        loop {
            let Some(next) = physical.next() else {
                let lines = LineRange {
                    first: line.lines.first,
                    last: physical.number,
                };
                return Err(Fault::UnterminatedHeredoc { name: opening.name }.at(lines));
            };
            first.get_or_insert(physical.number);
            if opening.ends_at(next) {
                break;
            }
            content.push_str(next);
        }
        line.lines.last = physical.number;
        line.heredocs.push(opening.with_content(&content));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, u32, u32)]) {
        let lines = split(text, &Directives::default()).unwrap();
        let got: Vec<(&str, u32, u32)> = lines
            .iter()
            .map(|line| (line.text.as_str(), line.lines.first, line.lines.last))
            .collect();
        assert_eq!(got, expect, "{text:?}");
    }

    #[test]
    fn lines_join_at_continuations() {
        check("FROM a\n\n# c\n  RUN b\n", &[("FROM a", 1, 1), ("RUN b", 4, 4)]);
        check("RUN a \\\n  b\nRUN c", &[("RUN a   b", 1, 2), ("RUN c", 3, 3)]);
        check("RUN a \\  \n# no\n\n b\n", &[("RUN a  b", 1, 4)]);
        check("RUN a \\\\\nRUN b", &[("RUN a \\\\", 1, 1), ("RUN b", 2, 2)]);
        check(
            "\u{feff}FROM a\r\nRUN b\\\r\n c\r\n",
            &[("FROM a", 1, 1), ("RUN b c", 2, 3)],
        );
        check("RUN a \\", &[("RUN a ", 1, 1)]);
        check("\\\n\nFROM a", &[("FROM a", 1, 3)]);
    }

    #[test]
    fn heredocs_belong_to_their_line() {
        let text = "RUN <<EOF cat <<-'B C' 3<<D\na $x\nEOF\n\tb\n\tB C\nd\nD\nCOPY x y\n";
        let lines = split(text, &Directives::default()).unwrap();
        assert_eq!(lines.len(), 2);
        let contents: Vec<&str> = lines[0].heredocs.iter().map(|h| h.content.as_str()).collect();
        assert_eq!(contents, ["a $x\n", "b\n", "d\n"]);
        assert_eq!(lines[0].lines, LineRange { first: 1, last: 7 });
        let fault = split("RUN <<EOF\nEOFF\n", &Directives::default()).unwrap_err();
        assert_eq!(fault.lines, LineRange { first: 1, last: 2 });
    }

    #[test]
    fn heredocs_elsewhere_are_text() {
        check("ENV a=<<EOF\nRUN x\n", &[("ENV a=<<EOF", 1, 1), ("RUN x", 2, 2)]);
        check(
            "RUN [\"<<EOF\"]\nRUN x\n",
            &[("RUN [\"<<EOF\"]", 1, 1), ("RUN x", 2, 2)],
        );
        check("RUN a <<< b\n", &[("RUN a <<< b", 1, 1)]);
        check("RUN echo $((1<<2))\n", &[("RUN echo $((1<<2))", 1, 1)]);
    }

    #[test]
    fn offsets_know_their_line() {
        let lines = split("RUN a \\\n  b \\\n  c", &Directives::default()).unwrap();
        let offset = lines[0].text.find('c').unwrap();
        assert_eq!(lines[0].line_at(offset), 3);
        assert_eq!(lines[0].line_at(0), 1);
    }
}
