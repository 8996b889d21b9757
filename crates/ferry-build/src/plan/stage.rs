//! One stage being planned: what its instructions see, and what they do to it.

use std::cell::RefCell;

use ferry_oci::{History, ImageConfig, Platform, Reference};

use super::graph::{CopyOp, MakeDirectoryOp, Node, Op, PlannedStep, RootRef, RunOp};
use super::name::{StageName, summary};
use super::planner::{GlobalArgs, PlanError, PlannedStage, Planner};
use super::predefined::is_proxy;
use super::{Archives, CachePolicy, CopySource, ParentPaths, PlanFault, SourceRoot, paths};
use crate::dockerfile::{Heredoc, Located, Oddity, parse_trigger};
use crate::expand::{Expander, Quotes, Unset};
use crate::instruction::Instruction;
use crate::{LineRange, StepNetwork, VertexId};

/// PATH of images that set none. Source: moby `daemon/pkg/oci`, BuildKit `util/system/path.go`.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What Docker's clients know the Dockerfile frontend by.
const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

/// A stage while its instructions are applied.
pub(crate) struct StageBuilder<'p, 'f> {
    planner: &'p mut Planner<'f>,
    number: usize,
    target: Platform,
    platform: Platform,
    globals: GlobalArgs,
    root: RootRef,
    /// The config so far.
    pub(crate) image: ImageConfig,
    history: Vec<PlannedStep>,
    args: Vec<(String, Option<String>)>,
    /// Whether this stage has set CMD itself.
    pub(crate) cmd_is_set: bool,
    name: StageName,
    step: usize,
    cache: CachePolicy,
    /// The instruction at work.
    lines: LineRange,
    text: String,
}

impl<'p, 'f> StageBuilder<'p, 'f> {
    /// Plans stage `number` for `target`.
    pub(super) fn build(
        planner: &'p mut Planner<'f>,
        number: usize,
        target: Platform,
    ) -> Result<PlannedStage, PlanError> {
        let file = planner.file;
        let stage = &file.stages[number];
        let target_stage = planner.stage_name_of_target();
        let globals = GlobalArgs::of(file, planner.request, &target, &target_stage, &mut planner.used_args)
            .map_err(|(fault, lines)| planner.error(fault, lines))?;
        let mut builder = Self {
            number,
            platform: target.clone(),
            target,
            globals,
            root: None,
            image: ImageConfig::default(),
            history: Vec::new(),
            args: Vec::new(),
            cmd_is_set: false,
            name: StageName {
                platform: None,
                target: None,
                stage: stage.name.clone().unwrap_or_else(|| {
                    if file.stages.len() > 1 {
                        format!("stage-{number}")
                    } else {
                        String::new()
                    }
                }),
                steps: 0,
            },
            step: 0,
            cache: planner.uses_cache(number),
            lines: stage.from.lines,
            text: stage.from.text.clone(),
            planner,
        };
        let lines = stage.from.lines;
        let triggers = builder.begin().map_err(|fault| builder.planner.error(fault, lines))?;
        // Triggers of the base are no lines of this file: the FROM stands for them.
        for trigger in &triggers {
            builder.apply(trigger, lines)?;
        }
        for instruction in &stage.instructions {
            builder.apply(instruction, instruction.lines)?;
        }
        Ok(PlannedStage {
            root: builder.root,
            platform: builder.platform,
            image: builder.image,
            history: builder.history,
            args: builder.args,
        })
    }

    fn apply(&mut self, instruction: &Located<Box<dyn Instruction>>, lines: LineRange) -> Result<(), PlanError> {
        self.lines = lines;
        self.text.clone_from(&instruction.text);
        instruction
            .value
            .apply(self)
            .map_err(|fault| self.planner.error(fault, lines))
    }

    /// Takes the base, and returns its ONBUILD triggers.
    fn begin(&mut self) -> Result<Vec<Located<Box<dyn Instruction>>>, PlanFault> {
        let file = self.planner.file;
        let from = &file.stages[self.number].from;
        let (base, platform) = self.globals.resolve_from(from, file.directives.escape, &self.target)?;
        let mut steps = self.own_steps();
        if base == "scratch" {
            self.platform = platform.unwrap_or_else(|| self.target.clone());
            self.image = empty_image(&self.platform);
            self.name_steps(steps);
        } else if let Some(number) = file.stage_before(&base, self.number) {
            let base = self.planner.stage(number, &self.target).map_err(|error| error.fault)?;
            self.root = base.root;
            self.platform = base.platform.clone();
            self.image = base.image.clone();
            self.history.clone_from(&base.history);
            self.args.clone_from(&base.args);
        } else {
            self.platform = platform.unwrap_or_else(|| self.target.clone());
            steps += 1;
            let reference = parse_reference(&base)?;
            let (image, key) = self.planner.image(reference, self.platform.clone(), self.lines)?;
            self.image = with_platform(image.config.clone(), &self.platform);
            let triggers = self.image.config.on_build.len();
            self.name_steps(steps + triggers);
            let shown = match image.reference.digest() {
                Some(_) => image.reference.to_string(),
                None => format!("{}@{}", image.reference, image.target.digest()),
            };
            let name = self.next_name(&format!("FROM {shown}"));
            self.root = self.add(
                name,
                Op::Image {
                    key,
                    manifest: image.manifest,
                },
                None,
                Vec::new(),
            );
        }
        let triggers = std::mem::take(&mut self.image.config.on_build);
        let triggers = triggers
            .into_iter()
            .map(|trigger| {
                parse_trigger(&trigger).map_err(|located| PlanFault::Trigger {
                    trigger,
                    fault: located.fault,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let more = triggers.iter().filter(|trigger| trigger.value.is_step()).count();
        self.name_steps(steps + more);
        Ok(triggers)
    }

    fn own_steps(&self) -> usize {
        self.planner.file.stages[self.number]
            .instructions
            .iter()
            .filter(|instruction| instruction.value.is_step())
            .count()
    }

    fn name_steps(&mut self, steps: usize) {
        let shows_platform = self.planner.is_for_several || self.platform != self.target;
        self.name.platform = shows_platform.then(|| self.platform.clone());
        self.name.steps = steps;
    }

    /// The name of the next numbered step.
    fn next_name(&mut self, text: &str) -> String {
        self.step += 1;
        self.name.prefix(self.step) + text
    }

    /// The same for the instruction at work, with the variables that are known.
    fn instruction_name(&mut self, heredocs: &[Heredoc]) -> String {
        let text = self.text.clone();
        let known = Expander {
            escape: self.planner.file.directives.escape,
            quotes: Quotes::Keep,
            unset: Unset::Keep,
            lookup: &|name| self.lookup(name),
        }
        .word(&text)
        .unwrap_or(text);
        let (instruction, rest) = known.split_once(char::is_whitespace).unwrap_or((known.as_str(), ""));
        let mut shown = format!("{} {}", instruction.to_uppercase(), rest.trim());
        if let Some(heredoc) = heredocs.first() {
            shown.push_str(&summary(&heredoc.content));
        }
        self.next_name(&shown)
    }

    fn add(&mut self, name: String, op: Op, parent: RootRef, sources: Vec<RootRef>) -> RootRef {
        Some(self.planner.graph.add(Node {
            id: VertexId::of(b""),
            name,
            op,
            parent,
            sources,
            platform: self.platform.clone(),
            cache: self.cache,
            source: self.planner.source(self.lines),
        }))
    }
}

/// What instructions see.
impl StageBuilder<'_, '_> {
    /// The shell of the shell form.
    pub(crate) fn shell(&self) -> Vec<String> {
        match &self.image.config.shell {
            Some(shell) if !shell.is_empty() => shell.clone(),
            _ => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        }
    }

    /// The network of RUNs that name none.
    pub(crate) fn default_network(&self) -> StepNetwork {
        self.planner.request.network
    }

    /// A word with its variables replaced and its quotes removed.
    pub(crate) fn expand(&mut self, word: &str) -> Result<String, PlanFault> {
        self.expanding(Quotes::Remove, |expander| Ok(expander.word(word)?))
    }

    /// The words that one word becomes.
    pub(crate) fn expand_words(&mut self, word: &str) -> Result<Vec<String>, PlanFault> {
        self.expanding(Quotes::Remove, |expander| Ok(expander.words(word)?))
    }

    /// A text in which quotes mean nothing.
    pub(crate) fn expand_text(&mut self, text: &str) -> Result<String, PlanFault> {
        self.expanding(Quotes::Text, |expander| Ok(expander.word(text)?))
    }

    /// Names and values, all with the variables as they are now.
    pub(crate) fn expand_pairs(&mut self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, PlanFault> {
        pairs
            .iter()
            .map(|(name, value)| Ok((self.expand(name)?, self.expand(value)?)))
            .collect()
    }

    fn expanding<T>(
        &mut self,
        quotes: Quotes,
        expand: impl FnOnce(&Expander<'_>) -> Result<T, PlanFault>,
    ) -> Result<T, PlanFault> {
        let undefined = RefCell::new(Vec::new());
        let expanded = expand(&Expander {
            escape: self.planner.file.directives.escape,
            quotes,
            unset: Unset::Empty,
            lookup: &|name| {
                let value = self.lookup(name);
                if value.is_none() && !self.args.iter().any(|(declared, _)| declared == name) {
                    undefined.borrow_mut().push(name.to_owned());
                }
                value
            },
        });
        for name in undefined.into_inner() {
            self.warn("UndefinedVar", format!("Usage of undefined variable '${name}'"));
        }
        expanded
    }

    /// ENV wins over ARG.
    fn lookup(&self, name: &str) -> Option<String> {
        let set = self.image.config.env.iter().find_map(|variable| {
            variable
                .split_once('=')
                .filter(|(known, _)| *known == name)
                .map(|(_, value)| value.to_owned())
        });
        set.or_else(|| {
            self.args
                .iter()
                .find(|(known, _)| known == name)
                .and_then(|(_, value)| value.clone())
        })
    }

    /// The root of the stage, or of the image, that `from` names.
    pub(crate) fn source(&mut self, from: &str) -> Result<RootRef, PlanFault> {
        let file = self.planner.file;
        if let Some(number) = file.stage_before(from, self.number) {
            let target = self.target.clone();
            let stage = self.planner.stage_with_needs(number, &target);
            return stage.map(|stage| stage.root).map_err(|error| error.fault);
        }
        if from.eq_ignore_ascii_case("scratch") {
            return Ok(None);
        }
        if let Ok(number) = from.parse::<usize>() {
            let from = from.to_owned();
            return Err(PlanFault::LaterStage { from, number });
        }
        let reference = parse_reference(from)?;
        let (image, key) = self.planner.image(reference, self.platform.clone(), self.lines)?;
        let manifest = image.manifest;
        let name = format!("FROM {}", image.reference);
        Ok(self.add(name, Op::Image { key, manifest }, None, Vec::new()))
    }

    /// A root that holds what `path` selects of the context, at the same path.
    pub(crate) fn context_root(&mut self, path: &str) -> Result<RootRef, PlanFault> {
        let literal: String = path
            .chars()
            .flat_map(|c| {
                let escape = "*?[\\".contains(c).then_some('\\');
                escape.into_iter().chain([c])
            })
            .collect();
        let op = CopyOp {
            from: SourceRoot::Context,
            sources: vec![CopySource::Path(if literal.is_empty() {
                ".".to_owned()
            } else {
                literal
            })],
            destination: "/".to_owned(),
            owner: None,
            mode: None,
            exclude: Vec::new(),
            parents: ParentPaths::Keep,
            archives: Archives::Copy,
        };
        let shown = if path.is_empty() { "." } else { path };
        let name = format!("[internal] prepare {shown} of the build context");
        Ok(self.add(name, Op::Copy(op), None, Vec::new()))
    }

    /// Variables, user and directory of a RUN; command, mounts and network are the caller's.
    pub(crate) fn run_defaults(&self) -> RunOp {
        let mut env = self.image.config.env.clone();
        for (name, value) in &self.args {
            if let Some(value) = value
                && !is_proxy(name)
                && !env.iter().any(|variable| is_named(variable, name))
            {
                env.push(format!("{name}={value}"));
            }
        }
        if !env.iter().any(|variable| is_named(variable, "PATH")) {
            env.push(DEFAULT_PATH.to_owned());
        }
        let proxies = self
            .planner
            .request
            .build_args
            .iter()
            .filter(|(name, _)| is_proxy(name) && !env.iter().any(|variable| is_named(variable, name)))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let working_dir = paths::absolute("/", &self.image.config.working_dir);
        RunOp {
            env,
            proxies,
            working_dir,
            user: self.image.config.user.clone(),
            ..RunOp::default()
        }
    }
}

/// What instructions do.
impl StageBuilder<'_, '_> {
    /// Declares an ARG and returns its value: `--build-arg`, else the default, else the value it has
    /// before the first FROM.
    pub(crate) fn declare_arg(&mut self, name: &str, default: Option<String>) -> Option<String> {
        let given = self.planner.request.build_args.get(name).cloned();
        if given.is_some() {
            self.planner.used_args.insert(name.to_owned());
        }
        if name.starts_with("TARGET") {
            self.name.target = Some(self.target.clone());
        }
        let value = given.or(default).or_else(|| self.globals.get(name));
        match self.args.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(&value),
            None => self.args.push((name.to_owned(), value.clone())),
        }
        value
    }

    /// Sets an environment variable.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        let text = format!("{name}={value}");
        let env = &mut self.image.config.env;
        match env.iter_mut().find(|variable| is_named(variable, name)) {
            Some(variable) => *variable = text,
            None => env.push(text),
        }
    }

    /// Adds an entry without a layer to the history.
    pub(crate) fn record(&mut self, created_by: String) {
        self.record_layer(created_by, None);
    }

    fn record_layer(&mut self, created_by: String, node: RootRef) {
        self.history.push(PlannedStep {
            entry: History {
                created_by: Some(created_by),
                author: self.image.author.clone(),
                comment: Some(HISTORY_COMMENT.to_owned()),
                ..History::default()
            },
            node,
        });
    }

    /// Says that something is odd.
    pub(crate) fn warn(&mut self, rule: &'static str, short: String) {
        self.planner.warnings.push(Oddity {
            short,
            rule: Some(rule),
            lines: self.lines,
        });
    }

    /// Copies files.
    pub(crate) fn copy(
        &mut self,
        op: CopyOp,
        from: RootRef,
        created_by: String,
        heredocs: &[Heredoc],
    ) -> Result<(), PlanFault> {
        let name = self.instruction_name(heredocs);
        let sources = match op.from {
            SourceRoot::Context => Vec::new(),
            SourceRoot::Root => vec![from],
        };
        self.root = self.add(name, Op::Copy(op), self.root, sources);
        self.record_layer(created_by, self.root);
        Ok(())
    }

    /// Runs a process.
    pub(crate) fn run(&mut self, op: RunOp, sources: Vec<RootRef>, heredocs: &[Heredoc]) {
        let name = self.instruction_name(heredocs);
        let created_by = self.run_created_by(&op.args);
        self.root = self.add(name, Op::Run(op), self.root, sources);
        self.record_layer(created_by, self.root);
    }

    /// `RUN |2 a=1 b= /bin/sh -c x # buildkit`: declared ARGs stand before the command.
    fn run_created_by(&self, args: &[String]) -> String {
        let declared: Vec<String> = self
            .args
            .iter()
            .filter(|(name, _)| !is_proxy(name))
            .map(|(name, _)| format!("{name}={}", self.lookup(name).unwrap_or_default()))
            .collect();
        let mut words = Vec::new();
        if !declared.is_empty() {
            words.push(format!("|{}", declared.len()));
        }
        words.extend(declared);
        words.extend(args.iter().cloned());
        format!("RUN {} # buildkit", words.join(" "))
    }

    /// Makes a directory.
    pub(crate) fn make_directory(&mut self, path: &str) {
        let name = self.instruction_name(&[]);
        let op = MakeDirectoryOp { path: path.to_owned() };
        self.root = self.add(name, Op::MakeDirectory(op), self.root, Vec::new());
        self.record_layer(format!("WORKDIR {path}"), self.root);
    }
}

fn is_named(variable: &str, name: &str) -> bool {
    variable.split_once('=').is_some_and(|(known, _)| known == name)
}

fn parse_reference(name: &str) -> Result<Reference, PlanFault> {
    Reference::parse(name).map_err(|source| PlanFault::Reference {
        name: name.to_owned(),
        source,
    })
}

/// What `FROM scratch` begins with.
fn empty_image(platform: &Platform) -> ImageConfig {
    let mut image = with_platform(ImageConfig::default(), platform);
    image.config.env.push(DEFAULT_PATH.to_owned());
    image.config.working_dir = "/".to_owned();
    image
}

/// A base without a platform in its config (an import) gets the one it is used for.
fn with_platform(mut image: ImageConfig, platform: &Platform) -> ImageConfig {
    if image.architecture.is_empty() || image.os.is_empty() {
        image.os.clone_from(&platform.os);
        image.architecture.clone_from(&platform.architecture);
        image.variant.clone_from(&platform.variant);
    }
    image
}
