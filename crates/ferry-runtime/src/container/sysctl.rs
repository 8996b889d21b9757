//! Kernel parameters of a container's own namespaces.

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::write,
};

use crate::{Fault, profile::Sysctl};

/// The parameters of a spec, each checked to be of a namespace that the host does not share.
pub(crate) fn parse(spec: &Spec) -> Result<Vec<Sysctl>, Fault> {
    let Some(linux) = spec.linux() else {
        return Ok(Vec::new());
    };
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let mut sysctls = Vec::new();
    for (name, value) in linux.sysctl().iter().flatten() {
        let sysctl = Sysctl::parse(name, value, namespaces).map_err(|error| Fault::SysctlNotAllowed {
            reason: error.to_string(),
        })?;
        sysctls.push(sysctl);
    }
    // A map has no order; failures are to be the same each time.
    sysctls.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(sysctls)
}

/// As [`parse`], for a bundle: a namespace that is joined may be changed too, unless it is the caller's own.
pub(crate) fn parse_for_bundle(spec: &Spec) -> Result<Vec<Sysctl>, Fault> {
    let Some(linux) = spec.linux() else {
        return Ok(Vec::new());
    };
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let is_own = |kind| {
        let own = namespaces.iter().find(|own| own.typ() == kind);
        own.is_some_and(|own| own.path().as_ref().is_none_or(|path| !is_the_callers(path, kind)))
    };
    let refuse = |error: crate::profile::SysctlError| Fault::SysctlNotAllowed {
        reason: error.to_string(),
    };
    let mut sysctls = linux
        .sysctl()
        .iter()
        .flatten()
        .map(|(name, value)| Sysctl::parse_for(name, value, is_own).map_err(refuse))
        .collect::<Result<Vec<_>, _>>()?;
    sysctls.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(sysctls)
}

/// Whether a path leads to the namespace that the caller is in; what cannot be looked at counts as that.
fn is_the_callers(path: &std::path::Path, kind: LinuxNamespaceType) -> bool {
    let file = match kind {
        LinuxNamespaceType::Network => "net",
        LinuxNamespaceType::Ipc => "ipc",
        LinuxNamespaceType::Uts => "uts",
        LinuxNamespaceType::User => "user",
        _ => return true,
    };
    let own = rustix::fs::stat(format!("/proc/self/ns/{file}"));
    match (own, rustix::fs::stat(path)) {
        (Ok(own), Ok(other)) => (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino),
        _ => true,
    }
}

/// Sets them for the caller's namespaces; /proc is the host's still.
pub(super) fn apply(sysctls: &[Sysctl]) -> Result<(), Fault> {
    for sysctl in sysctls {
        let fault = |errno: rustix::io::Errno| Fault::Sysctl {
            name: sysctl.name.clone(),
            value: sysctl.value.clone(),
            errno: errno.into(),
        };
        let path = format!("/proc/sys/{}", file_name(&sysctl.name));
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(CWD, path, flags, Mode::empty()).map_err(fault)?;
        write(&file, sysctl.value.as_bytes()).map_err(fault)?;
    }
    Ok(())
}

/// The name with dots as a path: `.` separates, and `/` stands for a dot in an interface's name.
/// Source: sysctl(8).
fn file_name(name: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        assert_eq!(file_name("kernel.sem"), "kernel/sem");
        let vlan = file_name("net.ipv4.conf.eth0/1.forwarding");
        assert_eq!(vlan, "net/ipv4/conf/eth0.1/forwarding");
    }
}
