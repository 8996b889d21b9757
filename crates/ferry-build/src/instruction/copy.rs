//! COPY: files of the context, of another stage or of an image, or text of the Dockerfile itself.

use super::{Instruction, Parsed, Syntax, Trigger, step};
use crate::dockerfile::{Arguments, Fault, FlagSpec, Heredoc, HeredocText};
use crate::mode::ModeChange;
use crate::plan::{Archives, CopyOp, CopySource, ParentPaths, PlanFault, SourceRoot, StageBuilder, paths};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "COPY",
    usage: "COPY [--from=<stage|image>] [--chown=<user>[:<group>]] [--chmod=<mode>] [--link] [--parents] [--exclude=<pattern>] <source> … <destination>",
    flags: &[
        FlagSpec::value("from"),
        FlagSpec::value("chown"),
        FlagSpec::value("chmod"),
        FlagSpec::switch("link"),
        FlagSpec::switch("parents"),
        FlagSpec::repeated("exclude"),
    ],
    trigger: Trigger::Allowed,
    parse,
};

#[derive(Debug)]
struct Copy {
    transfer: Transfer,
    from: Option<String>,
    parents: ParentPaths,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    let from = arguments.flags.value("from");
    if from == Some("") {
        return Err(Fault::FlagWithoutValue {
            flag: "from".to_owned(),
        });
    }
    if from.is_some_and(|from| from.contains('$')) {
        return Err(Fault::BadFlagValue {
            flag: "from",
            value: from.unwrap_or_default().to_owned(),
            expected: "a name without variables; define a stage by FROM with the variable and copy from that",
        });
    }
    step(Copy {
        transfer: Transfer::parse(arguments)?,
        from: from.map(str::to_owned),
        parents: if arguments.flags.is_on("parents") {
            ParentPaths::Keep
        } else {
            ParentPaths::Drop
        },
    })
}

impl Instruction for Copy {
    fn apply(&self, stage: &mut StageBuilder<'_, '_>) -> Result<(), PlanFault> {
        let (from, root) = match &self.from {
            Some(from) => (SourceRoot::Root, stage.source(from)?),
            None => (SourceRoot::Context, None),
        };
        let op = self.transfer.to_op(stage, from, self.parents, Archives::Copy)?;
        let created_by = self.transfer.created_by("COPY", &op);
        stage.copy(op, root, created_by, &self.transfer.files)
    }

    fn sources(&self) -> Vec<&str> {
        self.from.as_deref().into_iter().collect()
    }

    fn is_step(&self) -> bool {
        true
    }
}

/// What COPY and ADD have in common.
#[derive(Debug)]
pub(super) struct Transfer {
    sources: Vec<Written>,
    destination: String,
    owner: Option<String>,
    mode: Option<String>,
    exclude: Vec<String>,
    pub(super) files: Vec<Heredoc>,
}

/// A source as it is written.
#[derive(Debug)]
enum Written {
    Path(String),
    Heredoc(Heredoc),
}

impl Transfer {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Fault> {
        let mut words = arguments.list()?;
        let mut heredocs = arguments.heredocs.iter();
        let destination = words
            .pop()
            .filter(|_| !words.is_empty())
            .ok_or_else(|| arguments.count("at least two arguments: one or more sources, and a destination"))?;
        let sources = words
            .into_iter()
            .map(|word| match heredocs.clone().next() {
                Some(heredoc) if heredoc.opening == word => {
                    heredocs.next();
                    Written::Heredoc(heredoc.clone())
                }
                _ => Written::Path(word),
            })
            .collect();
        let flags = &arguments.flags;
        Ok(Self {
            sources,
            destination,
            owner: flags.value("chown").map(str::to_owned),
            mode: flags.value("chmod").map(str::to_owned),
            exclude: flags.values("exclude").map(str::to_owned).collect(),
            files: arguments.heredocs.to_vec(),
        })
    }

    pub(super) fn to_op(
        &self,
        stage: &mut StageBuilder<'_, '_>,
        from: SourceRoot,
        parents: ParentPaths,
        archives: Archives,
    ) -> Result<CopyOp, PlanFault> {
        let mut sources = Vec::new();
        for source in &self.sources {
            sources.push(match source {
                Written::Path(path) => CopySource::Path(stage.expand(path)?),
                Written::Heredoc(heredoc) => CopySource::Inline {
                    name: heredoc.name.clone(),
                    content: match heredoc.text {
                        HeredocText::Expanded => stage.expand_text(&heredoc.content)?,
                        HeredocText::Literal => heredoc.content.clone(),
                    },
                },
            });
        }
        let destination = stage.expand(&self.destination)?;
        let mut expand_each =
            |written: &Option<String>| written.as_deref().map(|written| stage.expand(written)).transpose();
        let owner = expand_each(&self.owner)?.filter(|owner| !owner.is_empty());
        let mode = expand_each(&self.mode)?
            .filter(|mode| !mode.is_empty())
            .map(|mode| ModeChange::parse(&mode).ok_or(PlanFault::BadMode { mode }))
            .transpose()?;
        let mut exclude = Vec::new();
        for pattern in &self.exclude {
            exclude.push(stage.expand(pattern)?);
        }
        Ok(CopyOp {
            from,
            sources,
            destination: paths::destination(&stage.image.config.working_dir, &destination),
            owner,
            mode,
            exclude,
            parents,
            archives,
        })
    }

    /// `COPY --chown=1 a b /c # buildkit`.
    pub(super) fn created_by(&self, instruction: &str, op: &CopyOp) -> String {
        let mut text = instruction.to_owned();
        if let Some(owner) = &op.owner {
            text.push_str(&format!(" --chown={owner}"));
        }
        if let Some(mode) = &self.mode {
            text.push_str(&format!(" --chmod={mode}"));
        }
        for source in &op.sources {
            text.push(' ');
            text.push_str(match source {
                CopySource::Path(path) => path,
                CopySource::Inline { name, .. } => name,
            });
        }
        format!("{text} {} # buildkit", op.destination)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::testing::{apply, copies, fault};

    #[test]
    fn sources_and_destinations() {
        let check = |lines: &str, sources: &[&str], destination: &str| {
            let op = copies(lines).remove(0);
            let got: Vec<&str> = op
                .sources
                .iter()
                .map(|source| match source {
                    CopySource::Path(path) => path.as_str(),
                    CopySource::Inline { name, .. } => name.as_str(),
                })
                .collect();
            assert_eq!(
                (got.as_slice(), op.destination.as_str()),
                (sources, destination),
                "{lines:?}"
            );
        };
        check("COPY a b /c/", &["a", "b"], "/c/");
        check("COPY [\"a b\", \"c d\"]", &["a b"], "/c d");
        check("WORKDIR /w\nCOPY a .", &["a"], "/w/");
        check("WORKDIR /w\nCOPY a b", &["a"], "/w/b");
        check("WORKDIR /w\nCOPY a ../../x/./y/", &["a"], "/x/y/");
        check("ENV s=src d=/dst\nCOPY $s/x \"$d\"", &["src/x"], "/dst");
        check("COPY a /", &["a"], "/");
    }

    #[test]
    fn heredocs_are_files() {
        let op = copies("ENV x=1\nCOPY <<a.txt <<'b' c /d/\n\"$x\"\na.txt\n$x\nb").remove(0);
        let inline = |name: &str, content: &str| CopySource::Inline {
            name: name.to_owned(),
            content: content.to_owned(),
        };
        let expect = [
            inline("a.txt", "\"1\"\n"),
            inline("b", "$x\n"),
            CopySource::Path("c".to_owned()),
        ];
        assert_eq!(op.sources, expect);
    }

    #[test]
    fn flags() {
        let op = copies("ENV u=me\nCOPY --chown=$u:1 --chmod=0644 --link --exclude=*.o --exclude=b a /").remove(0);
        assert_eq!(op.owner.as_deref(), Some("me:1"));
        assert_eq!(op.mode, ModeChange::parse("644"));
        assert_eq!(op.exclude, ["*.o", "b"]);
        let image = apply("COPY --chown=1 a b /c/");
        assert_eq!(image.created_by(0), "COPY --chown=1 a b /c/ # buildkit");
    }

    #[test]
    fn faults() {
        let two = "COPY requires at least two arguments: one or more sources, and a destination";
        assert_eq!(fault("COPY"), two);
        assert_eq!(fault("COPY a"), two);
        assert_eq!(
            fault("COPY --form=x a b"),
            "unknown flag: --form (did you mean --from?)"
        );
        assert_eq!(
            fault("COPY --chmod=9 a b"),
            "invalid chmod parameter: '9', it should be octal between 0 and 07777, or symbolic"
        );
        assert_eq!(fault("COPY --link=x a b"), "invalid value \"x\" for flag --link");
        assert_eq!(fault("COPY --from=$x a b"), "invalid value \"$x\" for flag --from");
        assert_eq!(fault("COPY --from= a b"), "missing a value on flag: --from");
    }
}
