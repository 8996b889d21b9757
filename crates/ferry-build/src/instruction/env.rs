//! ENV: sets variables for later instructions and for containers.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "ENV",
    usage: "ENV <name>=<value> …",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Env {
    variables: Vec<(String, String)>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(Env {
        variables: arguments.name_values()?,
    })
}

impl Instruction for Env {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        // All values see the variables as they were before this line.
        let variables = stage.expand_pairs(&self.variables)?;
        let mut created_by = "ENV".to_owned();
        for (name, value) in variables {
            created_by.push_str(&format!(" {name}={value}"));
            stage.set_env(&name, &value);
        }
        stage.record(created_by);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{apply, fault};

    #[test]
    fn values_see_the_line_before() {
        let image = apply("ENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc");
        let env = &image.config.env;
        assert_eq!(env[1..], ["abc=bye", "def=hello", "ghi=bye"]);
        assert_eq!(image.created_by(1), "ENV abc=bye def=hello");
    }

    #[test]
    fn old_form_and_quotes() {
        let image = apply("ENV a  b c\nENV d=\"e f\" g=h\\ i\nENV j='$a'");
        assert_eq!(image.config.env[1..], ["a=b c", "d=e f", "g=h i", "j=$a"]);
    }

    #[test]
    fn faults() {
        assert_eq!(fault("ENV"), "ENV requires at least one argument");
        assert_eq!(fault("ENV a"), "ENV requires two arguments");
        assert_eq!(fault("ENV a=b c"), "can't find = in \"c\"");
        assert_eq!(fault("ENV =b"), "ENV names can not be blank");
    }
}
