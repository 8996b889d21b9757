//! Where a container's cgroup lies, and which devices it may use.

use std::path::{Component, Path};

use oci_spec::runtime::{LinuxResources, Spec};

use super::{ContainerId, Error};
use crate::{
    cgroup::{ChildName, ParentPath},
    device::{Access, Number, Rule, Verdict},
    profile,
};

/// The place that `linux.cgroupsPath` names below the hierarchies' tops; without one, the id at the top.
///
/// A relative path is relative to the tops too: the specification leaves it to the runtime.
pub(super) fn place(path: Option<&Path>, id: &ContainerId) -> Result<(ParentPath, ChildName), Error> {
    let mut components: Vec<&str> = Vec::new();
    for component in path.into_iter().flat_map(Path::components) {
        match component {
            Component::Normal(name) => components.push(name.to_str().unwrap_or_default()),
            Component::ParentDir => drop(components.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let name = components.pop().unwrap_or(id.as_str());
    let parent = if components.is_empty() {
        ParentPath::top()
    } else {
        ParentPath::parse(&components.join("/"))?
    };
    Ok((parent, ChildName::parse(name)?))
}

/// What the spec limits, with device rules as runc completes them: nothing but what the spec allows and what every
/// container needs.
pub(super) fn resources(spec: &Spec) -> LinuxResources {
    let asked = spec.linux().as_ref().and_then(|linux| linux.resources().clone());
    let mut resources = asked.unwrap_or_default();
    let mut rules = vec![Rule::everything(Verdict::Deny).to_oci()];
    rules.extend(resources.devices().clone().unwrap_or_default());
    rules.extend(profile::RULES.iter().skip(1).map(Rule::to_oci));
    rules.push(Rule::allow_char(Number::Exactly(TUN.0), Number::Exactly(TUN.1), Access::ALL).to_oci());
    resources.set_devices(Some(rules));
    resources
}

/// /dev/net/tun, which runc has among what is always allowed.
const TUN: (u32, u32) = (10, 200);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: Option<&str>, parent: &str, name: &str) {
        let id = ContainerId::parse("id").unwrap();
        let got = place(path.map(Path::new), &id).unwrap();
        assert_eq!((got.0.as_str(), got.1.as_str()), (parent, name), "{path:?}");
    }

    #[test]
    fn a_path_is_a_parent_and_a_name() {
        check(None, "", "id");
        check(Some(""), "", "id");
        check(Some("/"), "", "id");
        check(Some("/docker/x"), "docker", "x");
        check(Some("a/b/c"), "a/b", "c");
        check(Some("/../../x"), "", "x");
        check(Some("/a/../b//./c/"), "b", "c");
    }
}
