//! SHELL: the shell of later instructions in shell form.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, CommandForm, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "SHELL",
    usage: "SHELL [\"<program>\", \"<argument>\", …]",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Shell {
    words: Vec<String>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    match arguments.command()? {
        CommandForm::Exec(words) if !words.is_empty() => step(Shell { words }),
        CommandForm::Exec(_) => Err(arguments.count("at least one argument")),
        CommandForm::Shell(_) => Err(Fault::JsonWanted {
            instruction: "SHELL",
            usage: arguments.usage,
        }),
    }
}

impl Instruction for Shell {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        stage.image.config.shell = Some(self.words.clone());
        stage.record(format!("SHELL [{}]", self.words.join(" ")));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn shells() {
        let image = apply("SHELL [\"/bin/bash\", \"-c\"]");
        assert_eq!(image.config.shell.as_deref().unwrap(), ["/bin/bash", "-c"]);
        assert_eq!(fault("SHELL bash"), "SHELL requires the arguments to be in JSON form");
        assert_eq!(fault("SHELL []"), "SHELL requires at least one argument");
    }
}
