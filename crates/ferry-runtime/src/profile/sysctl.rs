//! Kernel parameters: those every container gets, and which a user may set.

use std::collections::HashMap;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType};

/// Set in a private network namespace: ports below 1024 and ping sockets need no capability.
/// Source: Docker Engine 29.
pub const IN_A_PRIVATE_NETWORK: &[(&str, &str)] = &[
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
];

/// A parameter that a container's user may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// With dots, such as `net.core.somaxconn`.
    pub name: String,
    /// What is written.
    pub value: String,
}

/// A parameter that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sysctl {name:?} is not allowed: {reason}")]
pub struct SysctlError {
    /// The name as given.
    pub name: String,
    /// Why.
    pub reason: &'static str,
}

/// Beginnings of parameters, or whole names, that belong to a namespace.
const NAMESPACED: &[(&str, LinuxNamespaceType)] = &[
    ("net.", LinuxNamespaceType::Network),
    ("fs.mqueue.", LinuxNamespaceType::Ipc),
    ("kernel.msgmax", LinuxNamespaceType::Ipc),
    ("kernel.msgmnb", LinuxNamespaceType::Ipc),
    ("kernel.msgmni", LinuxNamespaceType::Ipc),
    ("kernel.msg_next_id", LinuxNamespaceType::Ipc),
    ("kernel.sem", LinuxNamespaceType::Ipc),
    ("kernel.sem_next_id", LinuxNamespaceType::Ipc),
    ("kernel.shmall", LinuxNamespaceType::Ipc),
    ("kernel.shmmax", LinuxNamespaceType::Ipc),
    ("kernel.shmmni", LinuxNamespaceType::Ipc),
    ("kernel.shm_next_id", LinuxNamespaceType::Ipc),
    ("kernel.shm_rmid_forced", LinuxNamespaceType::Ipc),
    ("kernel.domainname", LinuxNamespaceType::Uts),
    ("user.", LinuxNamespaceType::User),
];

impl Sysctl {
    /// Parses a name and value and sees that the parameter belongs to a namespace that the
    /// container has for itself.
    ///
    /// The name has letters, digits, `_`, `-`, `.` and `/` only (`/` separates where an interface's
    /// name holds dots), so that it cannot leave /proc/sys; the value is one line.
    pub fn parse(name: &str, value: &str, namespaces: &[LinuxNamespace]) -> Result<Sysctl, SysctlError> {
        let is_own = |kind| namespaces.iter().any(|own| own.typ() == kind && own.path().is_none());
        Sysctl::parse_for(name, value, is_own)
    }

    /// As [`Self::parse`], where `is_own` knows which namespaces the parameter may change.
    pub fn parse_for(
        name: &str,
        value: &str,
        is_own: impl Fn(LinuxNamespaceType) -> bool,
    ) -> Result<Sysctl, SysctlError> {
        let refuse = |reason| {
            Err(SysctlError {
                name: name.to_owned(),
                reason,
            })
        };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
        {
            return refuse("the name has characters that no parameter has");
        }
        // Whichever separator comes first is the separator (sysctl(8)); the other is part of names.
        let slashes = name
            .find('/')
            .is_some_and(|slash| name.find('.').is_none_or(|dot| slash < dot));
        let separator = if slashes { '/' } else { '.' };
        if name
            .split(separator)
            .any(|part| part.is_empty() || part == ".." || part == ".")
        {
            return refuse("a part of the name is empty or dots");
        }
        if !slashes && name.contains('/') && name.split('.').any(|part| part.starts_with('/') || part.ends_with('/')) {
            return refuse("a part of the name begins or ends with a slash");
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            return refuse("the value is not one line of text");
        }
        let swap = |c| match c {
            '/' => '.',
            '.' => '/',
            other => other,
        };
        let dotted = if slashes {
            name.chars().map(swap).collect()
        } else {
            name.to_owned()
        };
        let Some((_, namespace)) = NAMESPACED
            .iter()
            .find(|(known, _)| dotted == *known || (known.ends_with('.') && dotted.starts_with(known)))
        else {
            return refuse("it belongs to the host, not to a namespace");
        };
        if !is_own(*namespace) {
            return refuse("the container shares the namespace it belongs to");
        }
        Ok(Sysctl {
            name: dotted,
            value: value.to_owned(),
        })
    }
}

/// The parameters of a container by default.
pub(super) fn defaults(namespaces: &[LinuxNamespace]) -> HashMap<String, String> {
    let private_network = namespaces
        .iter()
        .any(|own| own.typ() == LinuxNamespaceType::Network && own.path().is_none());
    let rows: &[(&str, &str)] = if private_network { IN_A_PRIVATE_NETWORK } else { &[] };
    rows.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Network, ProfileInput, namespaces::namespaces};
    use super::*;

    #[test]
    fn parameters_of_own_namespaces_are_allowed() {
        let own = namespaces(&ProfileInput::default());
        for name in [
            "net.core.somaxconn",
            "net/ipv4/conf/eth0.100/forwarding",
            "net.ipv4.conf.eth0/100.forwarding",
            "kernel.shm_rmid_forced",
            "kernel.sem",
            "fs.mqueue.msg_max",
        ] {
            assert!(Sysctl::parse(name, "1", &own).is_ok(), "{name}");
        }
    }

    #[test]
    fn parameters_of_the_host_and_tricks_are_refused() {
        let own = namespaces(&ProfileInput::default());
        for (name, value) in [
            ("kernel.core_pattern", "|/x"),
            ("kernel.shm", "1"),
            ("kernel.semx", "1"),
            ("vm.swappiness", "1"),
            ("net", "1"),
            ("net.", "1"),
            ("net..ipv4", "1"),
            ("net/../kernel/core_pattern", "1"),
            ("net.ipv4/../../kernel.core_pattern", "1"),
            ("/net/core/somaxconn", "1"),
            ("net.core.somaxconn=1+kernel.x", "1"),
            ("net.core.somaxconn", "1\nx"),
            ("net.core.somaxconn", ""),
            ("", "1"),
        ] {
            assert!(Sysctl::parse(name, value, &own).is_err(), "{name} {value:?}");
        }
    }

    #[test]
    fn shared_namespaces_keep_their_parameters() {
        for network in [Network::Host, Network::Path("/proc/1/ns/net".into())] {
            let own = namespaces(&ProfileInput {
                network,
                ..ProfileInput::default()
            });
            assert!(Sysctl::parse("net.core.somaxconn", "1", &own).is_err());
            assert!(Sysctl::parse("kernel.sem", "1", &own).is_ok());
            assert!(defaults(&own).is_empty());
        }
        assert_eq!(defaults(&namespaces(&ProfileInput::default())).len(), 2);
    }
}
