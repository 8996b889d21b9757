//! Which base images a build needs at first sight, so that all are asked for at once.

use std::collections::{BTreeMap, BTreeSet};

use ferry_oci::{Platform, Reference};

use super::graph::ImageKey;
use super::planner::GlobalArgs;
use crate::dockerfile::Dockerfile;
use crate::{BuildRequest, LineRange};

/// Images that have to be at hand, each with the first lines that name it.
pub(crate) type Needs = BTreeMap<ImageKey, LineRange>;

/// The images that the needed stages name. What only a base's ONBUILD triggers need is missing, and
/// what cannot be expanded is left for planning to report.
pub(crate) fn first_needs(file: &Dockerfile, request: &BuildRequest, target: usize, platforms: &[Platform]) -> Needs {
    let mut needs = Needs::new();
    for platform in platforms {
        for (key, lines) in look(file, request, target, platform).images {
            note(&mut needs, key, lines);
        }
    }
    needs
}

/// Adds an image that `lines` name; of several lines, the first are to blame if it cannot be had.
pub(super) fn note(needs: &mut Needs, key: ImageKey, lines: LineRange) {
    let first = needs.entry(key).or_insert(lines);
    *first = lines.min(*first);
}

/// The stages that `target` stands on or reads, itself included, as far as the file alone says.
pub(super) fn needed_stages(
    file: &Dockerfile,
    request: &BuildRequest,
    target: usize,
    platform: &Platform,
) -> BTreeSet<usize> {
    look(file, request, target, platform).stages
}

/// What is needed for one platform.
#[derive(Default)]
struct Seen {
    stages: BTreeSet<usize>,
    images: Needs,
}

fn look(file: &Dockerfile, request: &BuildRequest, target: usize, platform: &Platform) -> Seen {
    let mut seen = Seen::default();
    let Ok(globals) = GlobalArgs::of(file, request, platform, "default", &mut BTreeSet::new()) else {
        return seen;
    };
    let mut waiting = vec![target];
    while let Some(number) = waiting.pop() {
        if !seen.stages.insert(number) {
            continue;
        }
        let stage = &file.stages[number];
        let escape = file.directives.escape;
        let Ok((base, own)) = globals.resolve_from(&stage.from, escape, platform) else {
            continue;
        };
        let stage_platform = own.unwrap_or_else(|| platform.clone());
        let read = stage.instructions.iter().flat_map(|instruction| {
            let sources = instruction.value.sources().into_iter();
            sources.map(|name| (name, instruction.lines))
        });
        for (name, lines) in std::iter::once((base.as_str(), stage.from.lines)).chain(read) {
            if let Some(earlier) = file.stage_before(name, number) {
                waiting.push(earlier);
            } else if name != "scratch"
                && name.parse::<usize>().is_err()
                && let Ok(reference) = Reference::parse(name)
            {
                let platform = stage_platform.clone();
                note(&mut seen.images, ImageKey { reference, platform }, lines);
            }
        }
    }
    seen
}
