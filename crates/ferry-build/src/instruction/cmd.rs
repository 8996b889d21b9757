//! CMD: the default command, or the default arguments of the entry point.

use super::{Instruction, Parsed, Syntax, Trigger, quoted, step};
use crate::dockerfile::{Arguments, CommandForm, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "CMD",
    usage: "CMD [\"<program>\", \"<argument>\", …] or CMD <command>",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Cmd {
    command: CommandForm,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    step(Cmd {
        command: arguments.command()?,
    })
}

impl Instruction for Cmd {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let words = self.command.to_args(&stage.shell());
        stage.record(format!("CMD {}", quoted(&words)));
        stage.image.config.cmd = Some(words);
        stage.image.config.args_escaped = None;
        stage.cmd_is_set = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn forms() {
        let image = apply("CMD [\"a\", \"$b\"]");
        assert_eq!(image.config.cmd.as_deref().unwrap(), ["a", "$b"]);
        assert_eq!(image.created_by(0), "CMD [\"a\" \"$b\"]");
        let image = apply("SHELL [\"/bin/bash\", \"-c\"]\nCMD a  $b");
        assert_eq!(image.config.cmd.as_deref().unwrap(), ["/bin/bash", "-c", "a  $b"]);
        assert_eq!(apply("CMD []").config.cmd.as_deref(), Some(&[][..]));
        assert_eq!(
            fault("CMD [1]"),
            "when using JSON array syntax, arrays must be comprised of strings only"
        );
    }
}
