//! What follows an instruction's name: flags, then the arguments in one of the Dockerfile's shapes.

use super::error::{Fault, LocatedFault, SyntaxResult};
use super::form::json_array;
use super::heredoc::Heredoc;
use super::nearest::nearest;
use super::word::{split_name_value, split_words, unquote};
use super::{CommandForm, Line};

/// A flag that an instruction knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlagSpec {
    pub(crate) name: &'static str,
    pub(crate) kind: FlagKind,
}

/// How a flag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlagKind {
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    Repeated,
    /// `--name` or `--name=true|false`, once.
    Switch,
}

impl FlagSpec {
    pub(crate) const fn value(name: &'static str) -> Self {
        let kind = FlagKind::Value;
        Self { name, kind }
    }

    pub(crate) const fn repeated(name: &'static str) -> Self {
        let kind = FlagKind::Repeated;
        Self { name, kind }
    }

    pub(crate) const fn switch(name: &'static str) -> Self {
        let kind = FlagKind::Switch;
        Self { name, kind }
    }
}

/// The flags that stand before an instruction's arguments, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags {
    given: Vec<(&'static str, String)>,
}

impl Flags {
    /// The value of a flag that may stand once.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// The values of a flag that may stand several times.
    pub(crate) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.given
            .iter()
            .filter(move |(given, _)| *given == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }
}

/// An instruction's line without its name.
pub(crate) struct Arguments<'a> {
    pub(crate) instruction: &'static str,
    pub(crate) usage: &'static str,
    pub(crate) flags: Flags,
    /// What follows the flags, without blanks around it.
    pub(crate) rest: &'a str,
    pub(crate) escape: char,
    pub(crate) heredocs: &'a [Heredoc],
}

impl<'a> Arguments<'a> {
    /// Takes the flags off the text of `line` that begins at `offset`.
    pub(crate) fn read(
        line: &'a Line,
        offset: usize,
        escape: char,
        syntax: &crate::instruction::Syntax,
    ) -> SyntaxResult<Self> {
        let mut flags = Flags::default();
        let mut start = line.text.len();
        for word in split_words(&line.text[offset..], escape) {
            let at = offset + word.offset;
            let Some(flag) = word.text.strip_prefix("--") else {
                start = at;
                break;
            };
            if flag.is_empty() {
                start = at + word.text.len();
                break;
            }
            let located = |fault: Fault| fault.at_line(line.line_at(at));
            let (name, value) = read_flag(flag, escape, syntax).map_err(located)?;
            let is_repeated = syntax
                .flags
                .iter()
                .any(|spec| spec.name == name && spec.kind == FlagKind::Repeated);
            if !is_repeated && flags.value(name).is_some() {
                let flag = name.to_owned();
                return Err(located(Fault::DuplicateFlag { flag }));
            }
            flags.given.push((name, value));
        }
        Ok(Self {
            instruction: syntax.name,
            usage: syntax.usage,
            flags,
            rest: line.text[start..].trim(),
            escape,
            heredocs: &line.heredocs,
        })
    }

    /// The arguments as words, quotes included.
    pub(crate) fn words(&self) -> Vec<&'a str> {
        split_words(self.rest, self.escape)
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    /// The arguments as one text, which must not be empty.
    pub(crate) fn text(&self) -> Result<&'a str, Fault> {
        self.at_least_one()?;
        Ok(self.rest)
    }

    /// The arguments as exactly one word or quoted text.
    pub(crate) fn exactly_one(&self) -> Result<&'a str, Fault> {
        let text = self.rest;
        if text.is_empty() {
            return Err(self.count("exactly one argument"));
        }
        Ok(text)
    }

    /// The arguments in exec or shell form.
    pub(crate) fn command(&self) -> Result<CommandForm, Fault> {
        CommandForm::parse(self.rest)
    }

    /// The arguments as a JSON array of strings, or as words at blanks.
    ///
    /// Quotes in words are left to expansion; the strings of a JSON array are expanded too.
    pub(crate) fn list(&self) -> Result<Vec<String>, Fault> {
        if let Some(list) = json_array(self.rest)? {
            return Ok(list);
        }
        Ok(self.rest.split_whitespace().map(str::to_owned).collect())
    }

    /// `name=value …`, or the old form `name value`; names and values as they are written.
    pub(crate) fn name_values(&self) -> Result<Vec<(String, String)>, Fault> {
        self.at_least_one()?;
        let words = self.words();
        let first = words.first().copied().unwrap_or_default();
        if !first.contains('=') {
            let value = self.rest[first.len()..].trim();
            if value.is_empty() {
                return Err(self.count("two arguments"));
            }
            return Ok(vec![(first.to_owned(), value.to_owned())]);
        }
        words
            .into_iter()
            .map(|word| match split_name_value(word) {
                Some(("", _)) => Err(Fault::BlankName {
                    instruction: self.instruction,
                }),
                Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                None => Err(Fault::NoEqualSign {
                    instruction: self.instruction,
                    word: word.to_owned(),
                }),
            })
            .collect()
    }

    pub(crate) fn at_least_one(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            return Err(self.count("at least one argument"));
        }
        Ok(())
    }

    /// The fault of a wrong number of arguments.
    pub(crate) fn count(&self, wanted: &'static str) -> Fault {
        Fault::ArgumentCount {
            instruction: self.instruction,
            wanted,
            usage: self.usage,
        }
    }

    /// `--name=true` and the like, checked.
    pub(crate) fn unsupported(&self, flag: &str) -> Fault {
        Fault::UnsupportedFlag {
            instruction: self.instruction,
            flag: flag.to_owned(),
        }
    }
}

fn read_flag(flag: &str, escape: char, syntax: &crate::instruction::Syntax) -> Result<(&'static str, String), Fault> {
    let (name, value) = match flag.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (flag, None),
    };
    let Some(spec) = syntax.flags.iter().find(|spec| spec.name == name) else {
        let known: Vec<&str> = syntax.flags.iter().map(|spec| spec.name).collect();
        return Err(Fault::UnknownFlag {
            instruction: syntax.name,
            flag: name.to_owned(),
            nearest: nearest(name, &known).map(|nearest| format!("--{nearest}")),
        });
    };
    let value = match (spec.kind, value) {
        (FlagKind::Switch, None) => "true".to_owned(),
        (FlagKind::Switch, Some(value)) => match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "t" => "true".to_owned(),
            "false" | "0" | "f" | "" => "false".to_owned(),
            _ => {
                return Err(Fault::BadFlagValue {
                    flag: spec.name,
                    value: value.to_owned(),
                    expected: "true or false",
                });
            }
        },
        (_, Some(value)) => unquote_outer(value, escape),
        (_, None) => {
            return Err(Fault::FlagWithoutValue { flag: name.to_owned() });
        }
    };
    Ok((spec.name, value))
}

/// Takes quotes away where they enclose the value; variables within are expanded later.
fn unquote_outer(value: &str, escape: char) -> String {
    let is_enclosed = value.len() >= 2
        && ["\"", "'"]
            .iter()
            .any(|quote| value.starts_with(quote) && value.ends_with(quote));
    if is_enclosed && let Some(unquoted) = unquote(value, escape) {
        return unquoted.text;
    }
    value.to_owned()
}

impl From<(Fault, crate::LineRange)> for LocatedFault {
    fn from((fault, lines): (Fault, crate::LineRange)) -> Self {
        fault.at(lines)
    }
}
