//! The file as stages: global ARGs, then each FROM with the instructions that follow it.

use std::sync::Arc;

use super::error::{Fault, LocatedFault, SyntaxError, SyntaxResult};
use super::line::{self, Line};
use super::{Arguments, Directives, nearest};
use crate::instruction::{self, Arg, From, Instruction, Parsed};
use crate::{LineRange, Source};

/// Largest Dockerfile that is read.
pub(crate) const MAX_DOCKERFILE_BYTES: u64 = 16 << 20;

/// A parsed Dockerfile.
#[derive(Debug)]
pub struct Dockerfile {
    /// Its name as the user gave it.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// Its directives.
    pub directives: Directives,
    /// The ARGs before the first FROM.
    pub(crate) global_args: Vec<Located<Arg>>,
    /// The stages, in order; at least one.
    pub stages: Vec<Stage>,
    /// Oddities that are no errors.
    pub(crate) warnings: Vec<Oddity>,
}

/// One FROM and what follows it.
#[derive(Debug)]
pub struct Stage {
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// The FROM.
    pub(crate) from: Located<From>,
    /// The instructions after it.
    pub(crate) instructions: Vec<Located<Box<dyn Instruction>>>,
}

/// An instruction with its place and its text.
#[derive(Debug)]
pub struct Located<T> {
    /// The instruction.
    pub value: T,
    /// Its lines in the file.
    pub lines: LineRange,
    /// Its text, joined to one line, without heredocs.
    pub text: String,
}

/// Something odd that is reported as a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oddity {
    pub(crate) short: String,
    /// The check of BuildKit's that finds it; `None` for what no check finds.
    pub(crate) rule: Option<&'static str>,
    pub(crate) lines: LineRange,
}

impl Dockerfile {
    /// Parses `bytes`; `name` is what messages call the file.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, SyntaxError> {
        let name: Arc<str> = name.into();
        let text: Arc<str> = String::from_utf8_lossy(bytes).into();
        let fault = |fault: LocatedFault| fault.within(&name, &text);
        if bytes.len() as u64 > MAX_DOCKERFILE_BYTES {
            let limit_bytes = MAX_DOCKERFILE_BYTES;
            return Err(fault(Fault::TooLarge { limit_bytes }.at_line(1)));
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            return Err(fault(Fault::NotUtf8.at_line(u32::try_from(line).unwrap_or(1))));
        }
        parse_text(name.clone(), text.clone()).map_err(fault)
    }

    /// Some of its lines, for a message.
    pub(crate) fn source(&self, lines: LineRange) -> Source {
        Source {
            name: self.name.clone(),
            text: self.text.clone(),
            lines,
        }
    }

    /// The number of the stage that `wanted` names, or numbers; names come first and any case will do.
    pub fn stage(&self, wanted: &str) -> Option<usize> {
        self.stage_before(wanted, self.stages.len())
    }

    /// The same among the stages before number `end`; of two with one name the later counts.
    pub(crate) fn stage_before(&self, wanted: &str, end: usize) -> Option<usize> {
        let wanted = wanted.to_lowercase();
        self.stages[..end]
            .iter()
            .rposition(|stage| stage.name.as_deref() == Some(wanted.as_str()))
            .or_else(|| wanted.parse().ok().filter(|number| *number < end))
    }
}

fn parse_text(name: Arc<str>, text: Arc<str>) -> SyntaxResult<Dockerfile> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let directives = Directives::parse(bare)?;
    let lines = line::split(bare, &directives)?;
    let mut file = Dockerfile {
        name,
        text: text.clone(),
        global_args: Vec::new(),
        stages: Vec::new(),
        warnings: Vec::new(),
        directives,
    };
    if lines.is_empty() {
        return Err(Fault::NoInstructions.at_line(1));
    }
    for line in &lines {
        if line.has_empty_continuation {
            file.warnings.push(Oddity {
                short: "Empty continuation line".to_owned(),
                rule: Some("NoEmptyContinuation"),
                lines: line.lines,
            });
        }
        let located = parse_line(line, file.directives.escape)?;
        file.add(located)?;
    }
    if file.stages.is_empty() {
        return Err(Fault::NoStage.at(lines[0].lines));
    }
    Ok(file)
}

impl Dockerfile {
    fn add(&mut self, parsed: Located<Parsed>) -> SyntaxResult<()> {
        let Located { value, lines, text } = parsed;
        match (value, self.stages.last_mut()) {
            (Parsed::From(value), _) => {
                let name = value.name.clone();
                if let Some(name) = &name
                    && self.stages.iter().any(|stage| stage.name.as_ref() == Some(name))
                {
                    self.warnings.push(Oddity {
                        short: format!("Duplicate stage name {name:?}, stage names should be unique"),
                        rule: Some("DuplicateStageName"),
                        lines,
                    });
                }
                self.stages.push(Stage {
                    name,
                    from: Located { value, lines, text },
                    instructions: Vec::new(),
                });
            }
            (Parsed::Arg(value), None) => self.global_args.push(Located { value, lines, text }),
            (Parsed::Arg(value), Some(stage)) => stage.instructions.push(Located {
                value: Box::new(value),
                lines,
                text,
            }),
            (Parsed::Step(value), Some(stage)) => {
                stage.instructions.push(Located { value, lines, text });
            }
            (Parsed::Step(_), None) => {
                let instruction = text.split_whitespace().next().unwrap_or_default().to_uppercase();
                return Err(Fault::BeforeFrom { instruction }.at(lines));
            }
        }
        Ok(())
    }
}

fn parse_line(line: &Line, escape: char) -> SyntaxResult<Located<Parsed>> {
    let word = line.text.split_whitespace().next().unwrap_or_default();
    let Some(syntax) = instruction::find(word) else {
        return Err(Fault::UnknownInstruction {
            word: word.to_owned(),
            nearest: nearest(word, &instruction::names()).map(str::to_owned),
        }
        .at_line(line.lines.first));
    };
    let arguments = Arguments::read(line, word.len(), escape, syntax)?;
    let value = (syntax.parse)(&arguments).map_err(|fault| fault.at(line.lines))?;
    Ok(Located {
        value,
        lines: line.lines,
        text: line.text.trim_end().to_owned(),
    })
}

/// Parses the text of an ONBUILD trigger, which no file holds; escapes are by `\`.
pub(crate) fn parse_trigger(text: &str) -> SyntaxResult<Located<Box<dyn Instruction>>> {
    let text = text.replace(['\n', '\r'], " ");
    let Located { value, lines, text } = parse_line(&Line::of_trigger(&text), '\\')?;
    let value: Box<dyn Instruction> = match value {
        Parsed::Step(value) => value,
        Parsed::Arg(value) => Box::new(value),
        Parsed::From(_) => {
            return Err(Fault::ForbiddenTrigger { instruction: "FROM" }.at(lines));
        }
    };
    Ok(Located { value, lines, text })
}
