//! ADD: like COPY from the context, and local tar archives are unpacked.

use super::copy::Transfer;
use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault, FlagSpec};
use crate::plan::{Archives, CopySource, ParentPaths, PlanFault, SourceRoot, StageBuilder};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "ADD",
    usage: "ADD [--chown=<user>[:<group>]] [--chmod=<mode>] [--link] [--unpack[=false]] [--exclude=<pattern>] <source> … <destination>",
    flags: &[
        FlagSpec::value("chown"),
        FlagSpec::value("chmod"),
        FlagSpec::switch("link"),
        FlagSpec::value("checksum"),
        FlagSpec::switch("keep-git-dir"),
        FlagSpec::switch("unpack"),
        FlagSpec::repeated("exclude"),
    ],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Add {
    transfer: Transfer,
    archives: Archives,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    for flag in ["checksum", "keep-git-dir"] {
        if arguments.flags.value(flag).is_some() {
            return Err(arguments.unsupported(flag));
        }
    }
    step(Add {
        transfer: Transfer::parse(arguments)?,
        archives: match arguments.flags.value("unpack") {
            Some("false") => Archives::Copy,
            _ => Archives::Unpack,
        },
    })
}

impl Instruction for Add {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let op = self
            .transfer
            .to_op(stage, SourceRoot::Context, ParentPaths::Drop, self.archives)?;
        for source in &op.sources {
            if let CopySource::Path(path) = source
                && is_remote(path)
            {
                return Err(PlanFault::RemoteAdd { url: path.clone() });
            }
        }
        let created_by = self.transfer.created_by("ADD", &op);
        stage.copy(op, None, created_by, &self.transfer.files)
    }

    fn is_step(&self) -> bool {
        true
    }
}

/// URLs and git references, as BuildKit tells them from paths.
fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"]
        .iter()
        .any(|scheme| source.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use crate::instruction::testing::{copies, fault};
    use crate::plan::Archives;

    #[test]
    fn archives_are_unpacked_unless_told_otherwise() {
        assert_eq!(copies("ADD a.tar /")[0].archives, Archives::Unpack);
        assert_eq!(copies("ADD --unpack=false a.tar /")[0].archives, Archives::Copy);
        assert_eq!(copies("COPY a.tar /")[0].archives, Archives::Copy);
    }

    #[test]
    fn remote_sources_are_refused_by_name() {
        let expect = "ADD from https://x/y is not supported yet";
        assert_eq!(fault("ADD https://x/y /"), expect);
        assert_eq!(
            fault("ADD --checksum=sha256:0 x /"),
            "ADD --checksum is not supported yet"
        );
    }
}
