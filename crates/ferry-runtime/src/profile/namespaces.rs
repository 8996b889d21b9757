//! Which namespaces a container has for itself.

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};

use super::{CgroupVersion, Network, ProfileInput};

/// Private in every container.
const ALWAYS: &[LinuxNamespaceType] = &[
    LinuxNamespaceType::Mount,
    LinuxNamespaceType::Uts,
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Ipc,
];

/// The namespaces of a container; the host's network is the absence of one.
#[must_use]
pub fn namespaces(input: &ProfileInput) -> Vec<LinuxNamespace> {
    let mut namespaces: Vec<LinuxNamespace> = ALWAYS.iter().map(|kind| own(*kind)).collect();
    match &input.network {
        Network::Private => namespaces.push(own(LinuxNamespaceType::Network)),
        Network::Host => {}
        Network::Path(path) => {
            let mut joined = own(LinuxNamespaceType::Network);
            joined.set_path(Some(path.clone()));
            namespaces.push(joined);
        }
    }
    if input.cgroups == CgroupVersion::V2 {
        namespaces.push(own(LinuxNamespaceType::Cgroup));
    }
    namespaces
}

fn own(kind: LinuxNamespaceType) -> LinuxNamespace {
    let mut namespace = LinuxNamespace::default();
    namespace.set_typ(kind);
    namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_namespace_is_private_on_version_2() {
        let has = |cgroups| {
            let input = ProfileInput {
                cgroups,
                ..ProfileInput::default()
            };
            namespaces(&input)
                .iter()
                .any(|namespace| namespace.typ() == LinuxNamespaceType::Cgroup)
        };
        assert!(has(CgroupVersion::V2));
        assert!(!has(CgroupVersion::V1));
    }
}
