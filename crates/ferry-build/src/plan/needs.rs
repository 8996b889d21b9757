//! Which base images a build needs at first sight, so that all are asked for at once.

use std::collections::BTreeSet;

use ferry_oci::{Platform, Reference};

use super::graph::ImageKey;
use super::planner::GlobalArgs;
use crate::BuildRequest;
use crate::dockerfile::Dockerfile;

/// The images that the needed stages name. What only a base's ONBUILD triggers need is missing, and
/// what cannot be expanded is left for planning to report.
pub(crate) fn first_needs(
    file: &Dockerfile,
    request: &BuildRequest,
    target: usize,
    platforms: &[Platform],
) -> BTreeSet<ImageKey> {
    let mut needs = BTreeSet::new();
    for platform in platforms {
        let seen = look(file, request, target, platform);
        needs.extend(seen.images);
    }
    needs
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
    images: BTreeSet<ImageKey>,
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
        let read = stage.instructions.iter().flat_map(|line| line.value.sources());
        for name in std::iter::once(base.as_str()).chain(read) {
            if let Some(earlier) = file.stage_before(name, number) {
                waiting.push(earlier);
            } else if name != "scratch"
                && name.parse::<usize>().is_err()
                && let Ok(reference) = Reference::parse(name)
            {
                let platform = stage_platform.clone();
                seen.images.insert(ImageKey { reference, platform });
            }
        }
    }
    seen
}
