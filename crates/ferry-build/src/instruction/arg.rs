//! ARG: declares a variable of the build that `--build-arg` can set.

use super::{Instruction, Parsed, Syntax, Trigger};
use crate::dockerfile::{Arguments, Fault, split_name_value};
use crate::plan::{PlanFault, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "ARG",
    usage: "ARG <name>[=<default>] …",
    flags: &[],
    trigger: Trigger::Allowed,
    parse,
};

/// Variables that one ARG declares, with their defaults as they are written.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) variables: Vec<(String, Option<String>)>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    let variables = arguments
        .words()
        .into_iter()
        .map(|word| {
            let (name, default) = match split_name_value(word) {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (word, None),
            };
            if name.is_empty() {
                return Err(Fault::BlankName { instruction: "ARG" });
            }
            if !is_name(name) {
                let name = name.to_owned();
                return Err(Fault::BadArgName { name });
            }
            Ok((name.to_owned(), default))
        })
        .collect::<Result<_, _>>()?;
    Ok(Parsed::Arg(Arg { variables }))
}

/// Shells and expansion know no other names.
fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-' || c == '.')
}

impl Instruction for Arg {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let mut created_by = "ARG".to_owned();
        for (name, default) in &self.variables {
            let default = default.as_deref().map(|default| stage.expand(default)).transpose()?;
            let value = stage.declare_arg(name, default);
            match value {
                Some(value) if !crate::plan::is_proxy(name) => {
                    created_by.push_str(&format!(" {name}={value}"));
                }
                _ => created_by.push_str(&format!(" {name}")),
            }
        }
        stage.record(created_by);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{Case, apply, fault};

    #[test]
    fn build_args_win_over_defaults_and_env_wins_over_both() {
        let case = Case::new("ARG a=1\nARG b=$a\nENV a=3\nENV c=$a d=$b").build_arg("a", "2");
        assert_eq!(case.image().config.env[1..], ["a=3", "c=3", "d=2"]);
    }

    #[test]
    fn a_default_from_before_the_first_from_needs_an_arg_in_the_stage() {
        let case = Case::whole("ARG a=1\nARG b=x\nFROM scratch\nARG a\nENV got=$a$b");
        assert_eq!(case.image().config.env[1..], ["got=1"]);
        let case = case.build_arg("a", "2");
        assert_eq!(case.image().config.env[1..], ["got=2"]);
    }

    #[test]
    fn platform_arguments_need_a_declaration() {
        let image =
            apply("ENV before=$TARGETARCH\nARG TARGETARCH TARGETPLATFORM\nENV after=$TARGETARCH,$TARGETPLATFORM");
        assert_eq!(image.config.env[1..], ["before=", "after=arm64,linux/arm64"]);
    }

    #[test]
    fn proxies_leave_no_trace() {
        let case = Case::new("ARG HTTP_PROXY\nRUN x").build_arg("HTTP_PROXY", "http://user:password@proxy");
        let image = case.image();
        assert_eq!(image.created_by(0), "ARG HTTP_PROXY");
        assert_eq!(image.created_by(1), "RUN /bin/sh -c x # buildkit");
    }

    #[test]
    fn faults() {
        assert_eq!(fault("ARG"), "ARG requires at least one argument");
        assert_eq!(fault("ARG =x"), "ARG names can not be blank");
        assert_eq!(fault("ARG 1x"), "invalid ARG name \"1x\"");
    }
}
