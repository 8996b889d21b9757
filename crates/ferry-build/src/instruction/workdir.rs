//! WORKDIR: where later instructions and containers start; the directory is made where it is missing.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder, paths};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "WORKDIR",
    usage: "WORKDIR <path>",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Workdir {
    path: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(Workdir {
        path: arguments.exactly_one()?.to_owned(),
    })
}

impl Instruction for Workdir {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let path = stage.expand(&self.path)?;
        if !path.starts_with('/') && stage.image.config.working_dir.is_empty() {
            stage.warn(
                "WorkdirRelativePath",
                format!("Relative workdir {path:?} can have unexpected results if the base image changes"),
            );
        }
        let path = paths::absolute(&stage.image.config.working_dir, &path);
        stage.image.config.working_dir = path.clone();
        stage.make_directory(&path);
        Ok(())
    }

    fn is_step(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::apply;

    #[test]
    fn paths_are_relative_to_the_one_before() {
        let check = |lines: &str, expect: &str| {
            assert_eq!(apply(lines).config.working_dir, expect, "{lines:?}");
        };
        check("WORKDIR /a\nWORKDIR b\nWORKDIR c", "/a/b/c");
        check("WORKDIR a", "/a");
        check("ENV d=/x\nWORKDIR $d/$unset", "/x");
        check("WORKDIR /a/../../b/./c/", "/b/c");
        check("WORKDIR \"/a b\"", "/a b");
    }
}
