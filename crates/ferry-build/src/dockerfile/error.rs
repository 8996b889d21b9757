//! What can be wrong in a Dockerfile's text, and what was expected instead.

use std::sync::Arc;

use crate::{LineRange, Source};

/// A fault with its place; becomes a [`SyntaxError`] once the file's text is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocatedFault {
    pub(crate) fault: Fault,
    pub(crate) lines: LineRange,
}

pub(crate) type SyntaxResult<T> = Result<T, LocatedFault>;

/// A Dockerfile that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}{}{}", source_lines.place(), expectation(fault), shown_line(source_lines))]
pub struct SyntaxError {
    /// What is wrong.
    pub fault: Fault,
    /// Where, with the text.
    pub source_lines: Source,
}

/// What is wrong in a Dockerfile's text. The words are BuildKit's where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each variant's message says it
pub enum Fault {
    #[error("file with no instructions")]
    NoInstructions,
    #[error("the Dockerfile is not UTF-8 text")]
    NotUtf8,
    #[error("the Dockerfile is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("only one {name} parser directive can be used")]
    DuplicateDirective { name: String },
    #[error("invalid escape token '{value}'")]
    BadEscape { value: String },
    #[error("unknown instruction: {word}{}", suggestion(nearest.as_deref()))]
    UnknownInstruction { word: String, nearest: Option<String> },
    #[error("no build stage in current context: {instruction} stands before the first FROM")]
    BeforeFrom { instruction: String },
    #[error("no build stage in current context")]
    NoStage,
    #[error("unterminated heredoc {name:?}")]
    UnterminatedHeredoc { name: String },
    #[error("{instruction} requires {wanted}")]
    ArgumentCount {
        instruction: &'static str,
        wanted: &'static str,
        usage: &'static str,
    },
    #[error("unknown flag: --{flag}{}", suggestion(nearest.as_deref()))]
    UnknownFlag {
        instruction: &'static str,
        flag: String,
        nearest: Option<String>,
    },
    #[error("duplicate flag specified: --{flag}")]
    DuplicateFlag { flag: String },
    #[error("missing a value on flag: --{flag}")]
    FlagWithoutValue { flag: String },
    #[error("invalid value {value:?} for flag --{flag}")]
    BadFlagValue {
        flag: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("{instruction} --{flag} is not supported yet")]
    UnsupportedFlag { instruction: &'static str, flag: String },
    #[error("when using JSON array syntax, arrays must be comprised of strings only")]
    JsonNotStrings,
    #[error("{instruction} requires the arguments to be in JSON form")]
    JsonWanted {
        instruction: &'static str,
        usage: &'static str,
    },
    #[error("can't find = in {word:?}")]
    NoEqualSign { instruction: &'static str, word: String },
    #[error("{instruction} names can not be blank")]
    BlankName { instruction: &'static str },
    #[error("invalid ARG name {name:?}")]
    BadArgName { name: String },
    #[error("invalid name for build stage: {name:?}")]
    BadStageName { name: String },
    #[error("{from} stands where AS was expected")]
    NotAs { from: String },
    #[error("duplicate name {name}: a stage above has it already")]
    DuplicateStage { name: String },
    #[error("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")]
    NestedOnbuild,
    #[error("{instruction} isn't allowed as an ONBUILD trigger")]
    ForbiddenTrigger { instruction: &'static str },
    #[error("unknown type {kind:?} in HEALTHCHECK (try CMD)")]
    HealthcheckKind { kind: String },
    #[error("missing command after HEALTHCHECK CMD")]
    HealthcheckNoCommand,
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthcheckNone,
    #[error("invalid containerPort: {port}")]
    BadPort { port: String },
    #[error("{instruction} with a heredoc can not be in exec form")]
    HeredocInExecForm { instruction: &'static str },
    #[error("an entry of the mount {mount:?} is wrong: {reason}")]
    BadMount { mount: String, reason: String },
    #[error("{0}")]
    Expansion(#[from] crate::expand::ExpandError),
}

impl Fault {
    /// What was expected, when the message does not say it already.
    pub fn expected(&self) -> Option<String> {
        Some(match self {
            Self::NoInstructions | Self::BeforeFrom { .. } | Self::NoStage => "FROM <image>".to_owned(),
            Self::BadEscape { .. } => "\\ or `".to_owned(),
            Self::UnknownInstruction { nearest: None, .. } => {
                format!("one of {}", crate::instruction::names().join(", "))
            }
            Self::UnterminatedHeredoc { name } => format!("a line that is {name:?} alone"),
            Self::ArgumentCount { usage, .. } | Self::JsonWanted { usage, .. } => (*usage).to_owned(),
            Self::UnknownFlag {
                instruction,
                nearest: None,
                ..
            } => {
                let flags = crate::instruction::flags_of(instruction);
                match flags.as_slice() {
                    [] => format!("no flag: {instruction} has none"),
                    flags => format!("one of --{}", flags.join(", --")),
                }
            }
            Self::FlagWithoutValue { flag } => format!("--{flag}=<value>"),
            Self::BadFlagValue { expected, .. } => (*expected).to_owned(),
            Self::NoEqualSign { instruction, .. } => format!("{instruction} <name>=<value> …"),
            Self::BadArgName { .. } => "a name of letters, digits and _ that does not begin with a digit".to_owned(),
            Self::BadStageName { .. } => {
                "a lower-case name that begins with a letter, of letters, digits, _, - and .".to_owned()
            }
            Self::NotAs { .. } => "FROM [--platform=<platform>] <image> [AS <name>]".to_owned(),
            Self::HealthcheckKind { .. } => "HEALTHCHECK CMD <command> or HEALTHCHECK NONE".to_owned(),
            Self::BadPort { .. } => "<port>[-<port>][/tcp|/udp|/sctp]".to_owned(),
            _ => return None,
        })
    }

    pub(crate) fn at_line(self, line: u32) -> LocatedFault {
        self.at(LineRange {
            first: line,
            last: line,
        })
    }

    pub(crate) fn at(self, lines: LineRange) -> LocatedFault {
        LocatedFault { fault: self, lines }
    }
}

impl LocatedFault {
    /// Adds the file's name and text.
    pub(crate) fn within(self, name: &Arc<str>, text: &Arc<str>) -> SyntaxError {
        SyntaxError {
            fault: self.fault,
            source_lines: Source {
                name: name.clone(),
                text: text.clone(),
                lines: self.lines,
            },
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(" (did you mean {nearest}?)"))
}

fn expectation(fault: &Fault) -> String {
    fault
        .expected()
        .map_or_else(String::new, |expected| format!(", expected {expected}"))
}

/// The first of the lines that are meant, so that the message stands without the file.
fn shown_line(source: &Source) -> String {
    let index = source.lines.first.saturating_sub(1) as usize;
    match source.text.lines().nth(index).map(str::trim) {
        None | Some("") => String::new(),
        Some(line) => format!(": {}", line.chars().take(200).collect::<String>()),
    }
}
