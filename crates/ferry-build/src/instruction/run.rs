//! RUN: runs a command in the stage's file system and keeps what it changes.

mod mount;

use self::mount::MountSpec;
use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::StepNetwork;
use crate::dockerfile::{Arguments, CommandForm, Fault, FlagSpec, Heredoc};
use crate::plan::{PlanFault, RunOp, Script, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "RUN",
    usage: "RUN [--mount=…] [--network=default|none|host] <command>, or RUN [\"<program>\", \"<argument>\", …]",
    flags: &[
        FlagSpec::repeated("mount"),
        FlagSpec::value("network"),
        FlagSpec::value("security"),
    ],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Run {
    command: Command,
    network: Option<StepNetwork>,
    mounts: Vec<MountSpec>,
    heredocs: Vec<Heredoc>,
}

#[derive(Debug)]
enum Command {
    Form(CommandForm),
    /// `RUN <<EOF`: the heredoc is the script; without `#!` the shell reads it.
    Script {
        name: String,
        text: String,
    },
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    arguments.at_least_one()?;
    let flags = &arguments.flags;
    let network = flags
        .value("network")
        .map(|value| match value {
            "default" => Ok(StepNetwork::Default),
            "none" => Ok(StepNetwork::None),
            "host" => Ok(StepNetwork::Host),
            _ => Err(Fault::BadFlagValue {
                flag: "network",
                value: value.to_owned(),
                expected: "default, none or host",
            }),
        })
        .transpose()?;
    match flags.value("security") {
        None | Some("sandbox") => {}
        Some("insecure") => return Err(arguments.unsupported("security=insecure")),
        Some(value) => {
            return Err(Fault::BadFlagValue {
                flag: "security",
                value: value.to_owned(),
                expected: "sandbox",
            });
        }
    }
    step(Run {
        command: command(arguments)?,
        network,
        mounts: flags.values("mount").map(MountSpec::parse).collect::<Result<_, _>>()?,
        heredocs: arguments.heredocs.to_vec(),
    })
}

fn command(arguments: &Arguments<'_>) -> Result<Command, Fault> {
    match (arguments.heredocs, arguments.rest) {
        ([], _) => Ok(Command::Form(arguments.command()?)),
        ([only], text) if text == only.opening => Ok(Command::Script {
            name: only.name.clone(),
            text: only.content.clone(),
        }),
        (heredocs, text) => {
            // The shell knows heredocs itself: it gets the line with the texts after it.
            let mut text = format!("{text}\n");
            for heredoc in heredocs {
                text.push_str(&heredoc.content);
                text.push_str(&heredoc.name);
                text.push('\n');
            }
            Ok(Command::Form(CommandForm::Shell(text)))
        }
    }
}

impl Instruction for Run {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let shell = stage.shell();
        let (args, script) = match &self.command {
            Command::Form(form) => (form.to_args(&shell), None),
            Command::Script { name, text } if text.starts_with("#!") => {
                let path = format!("/dev/pipes/{name}");
                let script = Script {
                    path: path.clone(),
                    text: text.clone(),
                };
                (vec![path], Some(script))
            }
            Command::Script { text, .. } => (CommandForm::Shell(text.clone()).to_args(&shell), None),
        };
        if args.is_empty() {
            return Err(PlanFault::EmptyCommand);
        }
        let mut mounts = Vec::new();
        let mut roots = Vec::new();
        for spec in &self.mounts {
            mounts.push(spec.to_op(stage, &mut roots)?);
        }
        let op = RunOp {
            args,
            script,
            mounts,
            network: self.network.unwrap_or(stage.default_network()),
            ..stage.run_defaults()
        };
        stage.run(op, roots, &self.heredocs);
        Ok(())
    }

    fn sources(&self) -> Vec<&str> {
        self.mounts.iter().filter_map(MountSpec::from).collect()
    }

    fn is_step(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::StepNetwork;
    use crate::instruction::testing::{Case, apply, fault, runs};

    #[test]
    fn forms() {
        let check = |lines: &str, args: &[&str]| assert_eq!(runs(lines)[0].args, args, "{lines:?}");
        check("RUN a  b $c", &["/bin/sh", "-c", "a  b $c"]);
        check("RUN [\"a\", \"$b\"]", &["a", "$b"]);
        check("RUN a \\\n  b", &["/bin/sh", "-c", "a   b"]);
        check("SHELL [\"/bin/bash\", \"-ec\"]\nRUN a", &["/bin/bash", "-ec", "a"]);
        check("RUN <<EOF\na\nb $c\nEOF", &["/bin/sh", "-c", "a\nb $c\n"]);
        check(
            "RUN cat <<-'X' > /y\n\ta\nX",
            &["/bin/sh", "-c", "cat <<-'X' > /y\na\nX\n"],
        );
        check("RUN <<EOF\n#!/usr/bin/python\nx\nEOF", &["/dev/pipes/EOF"]);
    }

    #[test]
    fn variables_of_the_build_are_in_the_environment_and_in_history() {
        let case = Case::new("ARG a=1\nARG b\nARG c\nENV a=2 PATH=/p\nRUN x").build_arg("c", "3");
        assert_eq!(case.runs()[0].env, ["PATH=/p", "a=2", "c=3"]);
        assert_eq!(case.image().created_by(4), "RUN |3 a=2 b= c=3 /bin/sh -c x # buildkit");
    }

    #[test]
    fn state_of_the_stage() {
        let run = &runs("USER u\nWORKDIR /w\nRUN --network=none x")[0];
        assert_eq!((run.user.as_str(), run.working_dir.as_str()), ("u", "/w"));
        assert_eq!(run.network, StepNetwork::None);
        assert_eq!(apply("RUN a").created_by(0), "RUN /bin/sh -c a # buildkit");
    }

    #[test]
    fn faults() {
        assert_eq!(fault("RUN"), "RUN requires at least one argument");
        assert_eq!(fault("RUN --network=x a"), "invalid value \"x\" for flag --network");
        assert_eq!(
            fault("RUN --security=insecure a"),
            "RUN --security=insecure is not supported yet"
        );
        assert_eq!(
            fault("RUN --mounts=x a"),
            "unknown flag: --mounts (did you mean --mount?)"
        );
        assert_eq!(fault("RUN []"), "RUN needs a command");
    }
}
