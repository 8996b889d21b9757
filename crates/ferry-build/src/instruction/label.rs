//! LABEL: adds labels to the image.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "LABEL",
    usage: "LABEL <name>=<value> …",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Label {
    labels: Vec<(String, String)>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(Label {
        labels: arguments.name_values()?,
    })
}

impl Instruction for Label {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let mut created_by = "LABEL".to_owned();
        for (name, value) in stage.expand_pairs(&self.labels)? {
            created_by.push_str(&format!(" {name}={value}"));
            stage.image.config.labels.insert(name, value);
        }
        stage.record(created_by);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::apply;

    #[test]
    fn labels_are_expanded_and_unquoted() {
        let image = apply("ENV v=1\nLABEL \"a b\"=\"c $v\" d=e\nLABEL d=f");
        assert_eq!(image.config.labels["a b"], "c 1");
        assert_eq!(image.config.labels["d"], "f");
        assert_eq!(image.created_by(1), "LABEL a b=c 1 d=e");
    }
}
