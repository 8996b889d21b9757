//! ONBUILD: an instruction that runs when the image is the base of another build.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "ONBUILD",
    usage: "ONBUILD <instruction>",
    flags: &[],
    trigger: Trigger::Forbidden,
    parse,
};

#[derive(Debug)]
struct Onbuild {
    trigger: String,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    let trigger = arguments.text()?;
    let word = trigger.split_whitespace().next().unwrap_or_default();
    if word.eq_ignore_ascii_case("ONBUILD") {
        return Err(Fault::NestedOnbuild);
    }
    let Some(syntax) = super::find(word) else {
        return Err(Fault::UnknownInstruction {
            word: word.to_owned(),
            nearest: crate::dockerfile::nearest(word, &super::names()).map(str::to_owned),
        });
    };
    if syntax.trigger == Trigger::Forbidden {
        return Err(Fault::ForbiddenTrigger {
            instruction: syntax.name,
        });
    }
    if !arguments.heredocs.is_empty() {
        return Err(arguments.unsupported("heredoc"));
    }
    // The trigger is checked where it is written, not only where it runs.
    crate::dockerfile::parse_trigger(trigger).map_err(|located| located.fault)?;
    step(Onbuild {
        trigger: trigger.to_owned(),
    })
}

impl Instruction for Onbuild {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        stage.image.config.on_build.push(self.trigger.clone());
        stage.record(format!("ONBUILD {}", self.trigger));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{Case, apply, fault};

    #[test]
    fn triggers_are_kept_as_they_are_written() {
        let image = apply("ONBUILD RUN echo $x\nONBUILD COPY . /app");
        assert_eq!(image.config.on_build, ["RUN echo $x", "COPY . /app"]);
    }

    #[test]
    fn triggers_of_the_base_run_first_and_once() {
        let base = r#"{"config":{"OnBuild":["ENV a=1","LABEL l=$a"]}}"#;
        let image = Case::new("ENV b=$a").base(base).image();
        assert_eq!(image.config.env[1..], ["a=1", "b=1"]);
        assert_eq!(image.config.labels["l"], "1");
        assert!(image.config.on_build.is_empty());
    }

    #[test]
    fn faults() {
        assert_eq!(
            fault("ONBUILD ONBUILD RUN x"),
            "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
        );
        assert_eq!(fault("ONBUILD FROM x"), "FROM isn't allowed as an ONBUILD trigger");
        assert_eq!(fault("ONBUILD RNU x"), "unknown instruction: RNU (did you mean RUN?)");
        assert_eq!(fault("ONBUILD ENV x"), "ENV requires two arguments");
    }
}
