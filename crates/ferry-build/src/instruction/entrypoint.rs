//! ENTRYPOINT: the command that every container of the image runs.

use super::{Instruction, Parsed, Syntax, Trigger, quoted, step};
use crate::dockerfile::{Arguments, CommandForm, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "ENTRYPOINT",
    usage: "ENTRYPOINT [\"<program>\", \"<argument>\", …] or ENTRYPOINT <command>",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Entrypoint {
    command: CommandForm,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    step(Entrypoint {
        command: arguments.command()?,
    })
}

impl Instruction for Entrypoint {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let words = self.command.to_args(&stage.shell());
        stage.record(format!("ENTRYPOINT {}", quoted(&words)));
        stage.image.config.entrypoint = Some(words);
        // The base's CMD was meant for the base's entry point.
        if !stage.cmd_is_set {
            stage.image.config.cmd = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{Case, apply};

    #[test]
    fn a_new_entry_point_drops_the_cmd_of_the_base_only() {
        let base = r#"{"config":{"Cmd":["old"]}}"#;
        let image = Case::new("ENTRYPOINT [\"a\"]").base(base).image();
        assert_eq!(image.config.cmd, None);
        let image = apply("CMD [\"mine\"]\nENTRYPOINT a b");
        assert_eq!(image.config.cmd.as_deref().unwrap(), ["mine"]);
        assert_eq!(image.config.entrypoint.as_deref().unwrap(), ["/bin/sh", "-c", "a b"]);
    }
}
