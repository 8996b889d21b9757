//! MAINTAINER: the image's author; deprecated, LABEL says it better.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "MAINTAINER",
    usage: "MAINTAINER <name>",
    flags: &[],
    trigger: Trigger::Forbidden,
    parse,
};

#[derive(Debug)]
struct Maintainer {
    name: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(Maintainer {
        name: arguments.exactly_one()?.to_owned(),
    })
}

impl Instruction for Maintainer {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        stage.warn(
            "MaintainerDeprecated",
            "Maintainer instruction is deprecated in favor of using label".to_owned(),
        );
        stage.image.author = Some(self.name.clone());
        stage.record(format!("MAINTAINER {}", self.name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::apply;

    #[test]
    fn author() {
        let image = apply("MAINTAINER A B <a@b>");
        assert_eq!(image.author.as_deref(), Some("A B <a@b>"));
    }
}
