//! Kernel parameters of a container's own namespaces.

use std::path::PathBuf;

use ferry_sys::process::Namespaces;
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::{
    fs::{Mode, OFlags, openat},
    io::write,
};

use super::NamespacePlan;
use crate::Fault;

/// A parameter that belongs to the container alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sysctl {
    name: String,
    value: String,
}

/// Parameters of the ipc namespace. Source: ipc_namespaces(7).
const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// The parameters of a spec, each checked to be of a namespace that the host does not share.
pub(crate) fn parse(spec: &Spec, namespaces: &NamespacePlan) -> Result<Vec<Sysctl>, Fault> {
    let list = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.sysctl().as_ref());
    let mut sysctls = Vec::new();
    for (name, value) in list.into_iter().flatten() {
        if !is_name(name) || value.contains(['\0', '\n']) || !is_separate(name, namespaces) {
            return Err(Fault::SysctlNotAllowed { name: name.clone() });
        }
        sysctls.push(Sysctl {
            name: name.clone(),
            value: value.clone(),
        });
    }
    sysctls.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(sysctls)
}

/// Sets them for the caller's namespaces; /proc is the host's still.
pub(crate) fn apply(sysctls: &[Sysctl]) -> Result<(), Fault> {
    for sysctl in sysctls {
        let fault = |errno: rustix::io::Errno| Fault::Sysctl {
            name: sysctl.name.clone(),
            value: sysctl.value.clone(),
            errno: errno.into(),
        };
        let file = openat(
            rustix::fs::CWD,
            sysctl.file(),
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(fault)?;
        write(&file, sysctl.value.as_bytes()).map_err(fault)?;
    }
    Ok(())
}

impl Sysctl {
    fn file(&self) -> PathBuf {
        PathBuf::from("/proc/sys").join(file_name(&self.name))
    }
}

/// As sysctl(8): whichever of `.` and `/` comes first separates; the other is its counterpart.
fn file_name(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'.') => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

fn is_name(name: &str) -> bool {
    let file = file_name(name);
    file.contains('/')
        && file
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
        && file
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@".contains(&byte))
}

fn is_separate(name: &str, namespaces: &NamespacePlan) -> bool {
    let dotted = file_name(name)
        .replace('.', "\u{0}")
        .replace('/', ".")
        .replace('\u{0}', "/");
    if dotted.starts_with("net.") {
        return namespaces.is_separate(LinuxNamespaceType::Network);
    }
    if IPC.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
        return namespaces.is_separate(LinuxNamespaceType::Ipc);
    }
    dotted == "kernel.domainname" && namespaces.is_private(Namespaces::UTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_not_passed_on() {
        for good in [
            "net.ipv4.ip_forward",
            "net/ipv4/conf/eth0.1/forwarding",
            "kernel.sem",
        ] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "net",
            "net..x",
            "net.ipv4.ip_forward=1+x",
            "net/../kernel",
            "a=1+b",
            "net.x y",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert_eq!(
            file_name("net.ipv4.conf.eth0/1.forwarding"),
            "net/ipv4/conf/eth0.1/forwarding"
        );
    }

    #[test]
    fn only_parameters_of_separate_namespaces_are_allowed() {
        let all = NamespacePlan {
            new: Namespaces::MOUNT
                .with(Namespaces::NETWORK)
                .with(Namespaces::IPC),
            ..NamespacePlan::default()
        };
        let host = NamespacePlan {
            new: Namespaces::MOUNT,
            ..NamespacePlan::default()
        };
        for name in ["net.ipv4.ip_forward", "kernel.shmmax", "fs.mqueue.msg_max"] {
            assert!(is_separate(name, &all), "{name}");
            assert!(!is_separate(name, &host), "{name}");
        }
        for name in [
            "kernel.core_pattern",
            "vm.swappiness",
            "fs.file-max",
            "kernel.domainname",
        ] {
            assert!(!is_separate(name, &all), "{name}");
        }
    }
}
