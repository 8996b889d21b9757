//! The instructions of a Dockerfile: one file each, with its syntax, its effect and its tests.
//!
//! A new instruction is one file here and one row in [`TABLE`].

mod add;
mod arg;
mod cmd;
mod copy;
mod entrypoint;
mod env;
mod expose;
mod from;
mod healthcheck;
mod label;
mod maintainer;
mod onbuild;
mod run;
mod shell;
mod stopsignal;
mod user;
mod volume;
mod workdir;

use std::fmt::Debug;

use crate::dockerfile::{Arguments, Fault, FlagSpec};
use crate::plan::{PlanFault, StageBuilder};

pub(crate) use arg::Arg;
pub(crate) use from::From;

/// How an instruction is written.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// Its name, in upper case.
    pub(crate) name: &'static str,
    /// How it is used, in one line.
    pub(crate) usage: &'static str,
    /// The flags before its arguments.
    pub(crate) flags: &'static [FlagSpec],
    /// Whether it may follow ONBUILD.
    pub(crate) trigger: Trigger,
    /// Reads its arguments.
    pub(crate) parse: fn(&Arguments<'_>) -> Result<Parsed, Fault>,
}

/// Whether an instruction may follow ONBUILD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    Allowed,
    Forbidden,
}

/// A parsed instruction. FROM and ARG steer the file; all others act within a stage.
#[derive(Debug)]
pub(crate) enum Parsed {
    From(From),
    Arg(Arg),
    Step(Box<dyn Instruction>),
}

/// An instruction within a stage.
pub(crate) trait Instruction: Debug + Send + Sync {
    /// Does to the stage what the instruction says: changes the config, adds vertices to the graph.
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault>;

    /// The stages or images, besides its base, that it reads, as they are written.
    fn sources(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether it is a numbered step, `[2/5]`: it may make a layer.
    fn is_step(&self) -> bool {
        false
    }
}

/// Every instruction.
const TABLE: &[&Syntax] = &[
    &add::SYNTAX,
    &arg::SYNTAX,
    &cmd::SYNTAX,
    &copy::SYNTAX,
    &entrypoint::SYNTAX,
    &env::SYNTAX,
    &expose::SYNTAX,
    &from::SYNTAX,
    &healthcheck::SYNTAX,
    &label::SYNTAX,
    &maintainer::SYNTAX,
    &onbuild::SYNTAX,
    &run::SYNTAX,
    &shell::SYNTAX,
    &stopsignal::SYNTAX,
    &user::SYNTAX,
    &volume::SYNTAX,
    &workdir::SYNTAX,
];

/// The instruction called `name`, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Syntax> {
    TABLE
        .iter()
        .copied()
        .find(|syntax| syntax.name.eq_ignore_ascii_case(name))
}

/// All names, in upper case.
pub(crate) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|syntax| syntax.name).collect()
}

/// The flags of the instruction called `name`.
pub(crate) fn flags_of(name: &str) -> Vec<&'static str> {
    find(name).map_or_else(Vec::new, |syntax| syntax.flags.iter().map(|flag| flag.name).collect())
}

/// An instruction that acts within a stage, as the table's functions return it.
fn step(instruction: impl Instruction + 'static) -> Result<Parsed, Fault> {
    Ok(Parsed::Step(Box::new(instruction)))
}

/// `["a" "b"]`, as Docker's history shows lists.
fn quoted(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(" "))
}

#[cfg(test)]
pub(crate) mod testing;
