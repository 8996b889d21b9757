//! USER: whom later RUN steps and containers run as.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "USER",
    usage: "USER <user>[:<group>]",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct User {
    user: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    step(User {
        user: arguments.exactly_one()?.to_owned(),
    })
}

impl Instruction for User {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let user = stage.expand(&self.user)?;
        stage.record(format!("USER {user}"));
        stage.image.config.user = user;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::apply;

    #[test]
    fn users() {
        assert_eq!(apply("ENV u=1000\nUSER $u:daemon").config.user, "1000:daemon");
    }
}
