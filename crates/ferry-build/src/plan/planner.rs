//! Planning a whole build: each needed stage for each platform, into one graph.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use ferry_oci::{ImageConfig, Platform, Reference};

use super::graph::{Graph, ImageKey, PlannedImage, PlannedStep, RootRef};
use super::needs::{Needs, needed_stages, note};
use super::predefined::{is_predefined, platform_args};
use super::stage::StageBuilder;
use super::{CopySource, NodeIndex, Op, PlanFault, SourceRoot};
use crate::dockerfile::{Dockerfile, Located, Oddity};
use crate::expand::{Expander, Quotes, Unset};
use crate::instruction::From;
use crate::{BaseImage, BuildRequest, CacheUse, LineRange, Source};

/// What planning came to.
#[derive(Debug)]
pub(crate) enum Planned {
    /// The whole plan.
    Complete(Box<Plan>),
    /// These images have to be at hand first.
    Needs(Needs),
}

/// A whole plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    /// One a platform, in the request's order.
    pub(crate) images: Vec<PlannedImage>,
    /// What is read of the context; empty when nothing is.
    pub(crate) context_paths: BTreeSet<String>,
    pub(crate) warnings: Vec<Oddity>,
}

/// A fault with the lines it is on.
#[derive(Debug)]
pub(crate) struct PlanError {
    pub(crate) fault: PlanFault,
    pub(crate) source: Source,
}

impl PlanError {
    /// Whether nothing is wrong but that an image is not at hand yet.
    fn is_waiting(&self) -> bool {
        matches!(self.fault, PlanFault::ImageNeeded)
    }
}

/// Stages within stages that only ONBUILD triggers reveal; all others are planned one after the other.
const MAX_STAGE_DEPTH: usize = 20;

/// Plans stage number `target` of `file` for each of `platforms`.
pub(crate) fn plan(
    file: &Dockerfile,
    request: &BuildRequest,
    target: usize,
    platforms: &[Platform],
    images: &HashMap<ImageKey, BaseImage>,
) -> Result<Planned, PlanError> {
    let mut planner = Planner {
        file,
        request,
        target,
        images,
        graph: Graph::default(),
        stages: HashMap::new(),
        waiting: HashSet::new(),
        needs: Needs::new(),
        used_args: BTreeSet::new(),
        warnings: file.warnings.clone(),
        depth: 0,
        is_for_several: platforms.len() > 1,
    };
    let mut planned = Vec::new();
    for platform in platforms {
        match planner.stage_with_needs(target, platform) {
            Ok(stage) => planned.push(planner.finish(&stage)),
            Err(error) if error.is_waiting() => {}
            Err(error) => return Err(error),
        }
    }
    if !planner.needs.is_empty() {
        return Ok(Planned::Needs(planner.needs));
    }
    planner.warn_of_unused_args();
    let mut warnings = planner.warnings;
    let mut seen = BTreeSet::new();
    warnings.retain(|oddity| seen.insert((oddity.lines, oddity.short.clone())));
    Ok(Planned::Complete(Box::new(Plan {
        context_paths: context_paths(&planner.graph),
        graph: planner.graph,
        images: planned,
        warnings,
    })))
}

/// The state of planning.
pub(crate) struct Planner<'f> {
    pub(super) file: &'f Dockerfile,
    pub(super) request: &'f BuildRequest,
    target: usize,
    pub(super) images: &'f HashMap<ImageKey, BaseImage>,
    pub(super) graph: Graph,
    stages: HashMap<(usize, Platform), Rc<PlannedStage>>,
    /// Stages that wait for an image.
    waiting: HashSet<(usize, Platform)>,
    needs: Needs,
    pub(super) used_args: BTreeSet<String>,
    pub(super) warnings: Vec<Oddity>,
    depth: usize,
    pub(super) is_for_several: bool,
}

/// A stage, planned for one target platform.
#[derive(Debug)]
pub(super) struct PlannedStage {
    pub(super) root: RootRef,
    pub(super) platform: Platform,
    pub(super) image: ImageConfig,
    pub(super) history: Vec<PlannedStep>,
    pub(super) args: Vec<(String, Option<String>)>,
}

impl<'f> Planner<'f> {
    /// Plans a stage and before it all that it needs, as far as the file alone says.
    pub(super) fn stage_with_needs(&mut self, number: usize, target: &Platform) -> Result<Rc<PlannedStage>, PlanError> {
        if !self.stages.contains_key(&(number, target.clone())) {
            // A stage needs earlier ones only: in this order none has to wait for another.
            for needed in needed_stages(self.file, self.request, number, target) {
                match self.stage(needed, target) {
                    Err(error) if !error.is_waiting() => return Err(error),
                    _ => {}
                }
            }
        }
        self.stage(number, target)
    }

    /// Plans a stage, or finds it planned.
    pub(super) fn stage(&mut self, number: usize, target: &Platform) -> Result<Rc<PlannedStage>, PlanError> {
        if let Some(stage) = self.stages.get(&(number, target.clone())) {
            return Ok(stage.clone());
        }
        let key = (number, target.clone());
        if self.waiting.contains(&key) {
            let lines = self.file.stages[number].from.lines;
            return Err(self.error(PlanFault::ImageNeeded, lines));
        }
        if self.depth >= MAX_STAGE_DEPTH {
            let limit = MAX_STAGE_DEPTH;
            let lines = self.file.stages[number].from.lines;
            return Err(self.error(PlanFault::TooDeep { limit }, lines));
        }
        self.depth += 1;
        let stage = StageBuilder::build(self, number, target.clone());
        self.depth -= 1;
        match stage {
            Ok(stage) => {
                let stage = Rc::new(stage);
                self.stages.insert(key, stage.clone());
                Ok(stage)
            }
            Err(error) => {
                if error.is_waiting() {
                    self.waiting.insert(key);
                }
                Err(error)
            }
        }
    }

    /// The image for a platform, or a note that `lines` need it.
    pub(super) fn image(
        &mut self,
        reference: Reference,
        platform: Platform,
        lines: LineRange,
    ) -> Result<(&'f BaseImage, ImageKey), PlanFault> {
        let key = ImageKey { reference, platform };
        match self.images.get(&key) {
            Some(image) => Ok((image, key)),
            None => {
                note(&mut self.needs, key, lines);
                Err(PlanFault::ImageNeeded)
            }
        }
    }

    pub(super) fn error(&self, fault: PlanFault, lines: LineRange) -> PlanError {
        PlanError {
            fault,
            source: self.source(lines),
        }
    }

    pub(super) fn source(&self, lines: LineRange) -> Source {
        self.file.source(lines)
    }

    pub(super) fn uses_cache(&self, stage: usize) -> super::CachePolicy {
        let is_named = |names: &[String]| names.iter().any(|name| self.file.stage(name) == Some(stage));
        match &self.request.cache {
            CacheUse::None => super::CachePolicy::Ignore,
            CacheUse::Except(names) if is_named(names) => super::CachePolicy::Ignore,
            CacheUse::All | CacheUse::Except(_) => super::CachePolicy::Use,
        }
    }

    pub(super) fn stage_name_of_target(&self) -> String {
        match &self.request.target {
            Some(_) => self.file.stages[self.target]
                .name
                .clone()
                .unwrap_or_else(|| self.target.to_string()),
            None => "default".to_owned(),
        }
    }

    fn finish(&self, stage: &PlannedStage) -> PlannedImage {
        let mut config = stage.image.clone();
        let labels = self.request.labels.clone();
        config.config.labels.extend(labels);
        PlannedImage {
            platform: stage.platform.clone(),
            root: stage.root,
            config,
            history: stage.history.clone(),
        }
    }

    fn warn_of_unused_args(&mut self) {
        let unused: Vec<&str> = self
            .request
            .build_args
            .keys()
            .map(String::as_str)
            .filter(|name| !self.used_args.contains(*name) && !is_predefined(name))
            .collect();
        if !unused.is_empty() {
            self.warnings.push(Oddity {
                short: format!("One or more build-args [{}] were not consumed", unused.join(" ")),
                rule: None,
                lines: LineRange { first: 1, last: 1 },
            });
        }
    }
}

/// The variables that FROM lines see: platform ARGs and the ARGs before the first FROM.
#[derive(Debug, Clone)]
pub(super) struct GlobalArgs {
    pub(super) platform_args: Vec<(String, String)>,
    pub(super) declared: BTreeMap<String, Option<String>>,
}

impl GlobalArgs {
    /// Their values for one target platform; `used` collects which build-args they take.
    pub(super) fn of(
        file: &Dockerfile,
        request: &BuildRequest,
        target: &Platform,
        target_stage: &str,
        used: &mut BTreeSet<String>,
    ) -> Result<Self, (PlanFault, LineRange)> {
        let mut args = Self {
            platform_args: platform_args(&request.build_platform, target, target_stage),
            declared: BTreeMap::new(),
        };
        for (name, value) in &mut args.platform_args {
            if let Some(given) = request.build_args.get(name) {
                value.clone_from(given);
            }
        }
        for line in &file.global_args {
            for (name, default) in &line.value.variables {
                let given = request.build_args.get(name).cloned();
                if given.is_some() {
                    used.insert(name.clone());
                }
                let value = match (given, default) {
                    (Some(given), _) => Some(given),
                    (None, Some(default)) => Some(
                        args.expand(default, file.directives.escape)
                            .map_err(|fault| (fault, line.lines))?,
                    ),
                    (None, None) => args.get(name),
                };
                args.declared.insert(name.clone(), value);
            }
        }
        Ok(args)
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.declared.get(name) {
            Some(value) => value.clone(),
            None => self
                .platform_args
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone()),
        }
    }

    pub(super) fn expand(&self, word: &str, escape: char) -> Result<String, PlanFault> {
        Ok(Expander {
            escape,
            quotes: Quotes::Remove,
            unset: Unset::Empty,
            lookup: &|name| self.get(name),
        }
        .word(word)?)
    }

    /// The base and the platform that a FROM means.
    pub(super) fn resolve_from(
        &self,
        from: &Located<From>,
        escape: char,
        target: &Platform,
    ) -> Result<(String, Option<Platform>), PlanFault> {
        let base = self.expand(&from.value.base, escape)?;
        if base.trim().is_empty() {
            let written = from.value.base.clone();
            return Err(PlanFault::BlankBase { written });
        }
        let platform = match &from.value.platform {
            None => None,
            Some(written) => {
                let text = self.expand(written, escape)?;
                if text.is_empty() {
                    let written = written.clone();
                    return Err(PlanFault::BlankPlatform { written });
                }
                let with_os = match text.contains('/') {
                    true => text,
                    false => format!("{}/{text}", target.os),
                };
                let parsed = with_os.parse().map_err(|source| PlanFault::Platform {
                    written: written.clone(),
                    source,
                })?;
                Some(parsed)
            }
        };
        Ok((base, platform))
    }
}

/// What the vertices read of the context.
fn context_paths(graph: &Graph) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for node in &graph.nodes {
        let Op::Copy(op) = &node.op else { continue };
        if op.from != SourceRoot::Context {
            continue;
        }
        for source in &op.sources {
            if let CopySource::Path(path) = source {
                let clean = super::paths::absolute("/", path);
                paths.insert(clean.trim_start_matches('/').to_owned());
            }
        }
    }
    paths
}

impl Plan {
    /// The vertices that build on `index`, directly, with it before them.
    pub(crate) fn inputs_of(&self, index: NodeIndex) -> Vec<NodeIndex> {
        let node = &self.graph[index];
        std::iter::once(&node.parent)
            .chain(&node.sources)
            .filter_map(|root| *root)
            .collect()
    }
}

#[cfg(test)]
mod tests;
