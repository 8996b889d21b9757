//! The text a message points at: a Dockerfile, its name, and ranges of its lines.

use std::fmt::Write;
use std::sync::Arc;

/// Some lines of a file, counted from 1, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineRange {
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// A Dockerfile as the user named it, with its text and the lines that are meant.
///
/// It is what BuildKit sends as `errdefs.Source`, from which clients print the snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name as the user gave it; also `ONBUILD of <image>`, for text that no file holds.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
    /// The lines that are meant.
    pub lines: LineRange,
}

/// Lines shown before and after those that are meant.
const CONTEXT_LINES: u32 = 2;

impl Source {
    /// `Dockerfile:4`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.name, self.lines.first)
    }

    /// The lines that are meant, marked by `>>>`, with two lines around them.
    pub fn snippet(&self) -> String {
        let mut snippet = format!("{}\n--------------------\n", self.place());
        for (number, line) in (1..).zip(self.text.lines()) {
            if number + CONTEXT_LINES < self.lines.first || number > self.lines.last + CONTEXT_LINES {
                continue;
            }
            let meant = (self.lines.first..=self.lines.last).contains(&number);
            let mark = if meant { ">>>" } else { "   " };
            let _ = writeln!(snippet, "{number:4} | {mark} {line}");
        }
        snippet.push_str("--------------------\n");
        snippet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippet_marks_the_lines_and_shows_two_around() {
        let source = Source {
            name: "Dockerfile".into(),
            text: "a\nb\nc\nd\ne\nf\n".into(),
            lines: LineRange { first: 4, last: 4 },
        };
        assert_eq!(
            source.snippet(),
            "Dockerfile:4\n--------------------\n   2 |     b\n   3 |     c\n   4 | >>> d\n   5 |     e\n   6 |     f\n--------------------\n"
        );
    }
}
