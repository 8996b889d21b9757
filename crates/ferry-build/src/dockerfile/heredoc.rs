//! Heredocs: `<<NAME` in RUN, COPY and ADD, and the text that follows up to the line `NAME`.

use super::word::{Unquoted, split_words, unquote};

/// Text that stands in the Dockerfile itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it; the file's name in COPY and ADD.
    pub name: String,
    /// Whether variables in it are expanded.
    pub text: HeredocText,
    /// Whether it was opened by `<<-`, which takes leading tabs away.
    pub strip_tabs: bool,
    /// The text, each line with its break; leading tabs are gone if `strip_tabs`.
    pub content: String,
    /// The opening as it was written, `<<-'EOF'`.
    pub opening: String,
}

/// Whether variables in a heredoc are expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeredocText {
    /// They are: the name was not quoted.
    Expanded,
    /// They are not: the name was quoted.
    Literal,
}

/// A heredoc of which only the opening has been read.
pub(super) struct Opening {
    pub(super) name: String,
    text: HeredocText,
    strip_tabs: bool,
    opening: String,
}

/// Instructions that may open heredocs.
const WITH_HEREDOCS: [&str; 3] = ["ADD", "COPY", "RUN"];

/// The heredocs that the instruction `line` opens.
pub(super) fn openings(line: &str, escape: char) -> Vec<Opening> {
    let Some((name, mut rest)) = line.split_once(char::is_whitespace) else {
        return Vec::new();
    };
    let mut name = name.to_ascii_uppercase();
    if name == "ONBUILD" {
        let Some((inner, inner_rest)) = rest.trim_start().split_once(char::is_whitespace) else {
            return Vec::new();
        };
        (name, rest) = (inner.to_ascii_uppercase(), inner_rest);
    }
    if !WITH_HEREDOCS.contains(&name.as_str()) || is_json_array(rest) {
        return Vec::new();
    }
    split_words(rest, escape)
        .iter()
        .filter_map(|word| opening(word.text, escape))
        .collect()
}

/// `RUN --flag ["x"]` counts too: heredocs in an exec form are plain words.
fn is_json_array(rest: &str) -> bool {
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        rest = rest
            .split_once(char::is_whitespace)
            .map_or("", |(_, rest)| rest.trim_start());
    }
    rest.starts_with('[') && serde_json::from_str::<Vec<serde_json::Value>>(rest).is_ok()
}

/// `<<NAME`, `<<-NAME`, with an optional file descriptor before and quotes around the name.
pub(super) fn opening(word: &str, escape: char) -> Option<Opening> {
    let after = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let after = after.strip_prefix("<<")?;
    let (strip_tabs, raw_name) = match after.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, after),
    };
    if raw_name.is_empty() || raw_name.contains('<') {
        return None;
    }
    let Unquoted { text: name, quoted } = unquote(raw_name, escape)?;
    if name.is_empty() {
        return None;
    }
    Some(Opening {
        text: if quoted {
            HeredocText::Literal
        } else {
            HeredocText::Expanded
        },
        name,
        strip_tabs,
        opening: word.to_owned(),
    })
}

impl Opening {
    pub(super) fn ends_at(&self, physical_line: &str) -> bool {
        let line = physical_line.trim_end_matches(['\n', '\r']);
        let line = if self.strip_tabs {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.name
    }

    pub(super) fn with_content(self, content: &str) -> Heredoc {
        let content = if self.strip_tabs {
            content
                .split_inclusive('\n')
                .map(|line| line.trim_start_matches('\t'))
                .collect()
        } else {
            content.to_owned()
        };
        Heredoc {
            name: self.name,
            text: self.text,
            strip_tabs: self.strip_tabs,
            content,
            opening: self.opening,
        }
    }
}
