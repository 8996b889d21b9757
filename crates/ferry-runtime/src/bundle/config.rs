//! config.json: reading it, and refusing what cannot be right before anything is made.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fs::{AtFlags, CWD};

use super::Error;

/// More than any config has.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a config, and gives its bytes too.
pub(super) fn load(path: &Path) -> Result<(Spec, Vec<u8>), Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(Error::file("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::File {
            operation: "read",
            path: path.to_owned(),
            errno: rustix::io::Errno::FBIG.into(),
        });
    }
    let spec = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    Ok((spec, bytes))
}

/// Refuses what no container can be made of, and what is not supported, each by its name.
pub(super) fn check(spec: &Spec) -> Result<(), Error> {
    let refuse = |member, problem: &str| {
        Err(Error::Config {
            member,
            problem: problem.to_owned(),
        })
    };
    check_version(spec.version())?;
    let Some(linux) = spec.linux() else {
        return refuse("linux", "is missing");
    };
    if spec.root().is_none() {
        return refuse("root", "is missing");
    }
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    let has = |kind| namespaces.iter().any(|namespace| namespace.typ() == kind);
    let names = [("hostname", spec.hostname()), ("domainname", spec.domainname())];
    for (member, name) in names {
        if name.as_ref().is_some_and(|name| !name.is_empty()) && !has(LinuxNamespaceType::Uts) {
            return refuse(member, "needs a uts namespace");
        }
    }
    if linux.time_offsets().as_ref().is_some_and(|offsets| !offsets.is_empty()) && !has(LinuxNamespaceType::Time) {
        return refuse("linux.timeOffsets", "needs a time namespace");
    }
    let has_maps = |maps: &Option<Vec<_>>| maps.as_ref().is_some_and(|maps| !maps.is_empty());
    if (has_maps(linux.uid_mappings()) || has_maps(linux.gid_mappings())) && !has(LinuxNamespaceType::User) {
        return refuse("linux.uidMappings", "needs a user namespace");
    }
    if linux.intel_rdt().is_some() {
        return refuse("linux.intelRdt", "is not supported");
    }
    if linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty()) {
        return refuse("linux.netDevices", "is not supported");
    }
    if linux.mount_label().as_ref().is_some_and(|label| !label.is_empty()) && !selinux_is_there() {
        return refuse("linux.mountLabel", "this kernel has no SELinux");
    }
    if let Some(personality) = linux.personality()
        && personality.flags().as_ref().is_some_and(|flags| !flags.is_empty())
    {
        return refuse(
            "linux.personality.flags",
            "are not supported, as the specification has none",
        );
    }
    Ok(())
}

/// Versions 1.x follow one another compatibly. Source: OCI runtime-spec config.md#specification-version.
fn check_version(version: &str) -> Result<(), Error> {
    let major = version.split('.').next().unwrap_or_default();
    let is_version = version.split('.').count() >= 3
        && version
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .split('.')
            .all(|part| part.parse::<u32>().is_ok());
    if major == "1" && is_version {
        return Ok(());
    }
    Err(Error::Config {
        member: "ociVersion",
        problem: format!("{version:?} is no version 1 of the specification"),
    })
}

pub(super) fn selinux_is_there() -> bool {
    exists("/sys/fs/selinux/enforce")
}

pub(super) fn apparmor_is_there() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|bytes| bytes.starts_with(b"Y"))
}

fn exists(path: &str) -> bool {
    rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
}

/// The root file system's folder, absolute, which must exist.
pub(super) fn rootfs(spec: &Spec, bundle: &Path) -> Result<PathBuf, Error> {
    let path = spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default();
    let path = bundle.join(path);
    let real = path.canonicalize().map_err(Error::file("find root.path", &path))?;
    if real.is_dir() {
        Ok(real)
    } else {
        Err(Error::File {
            operation: "find root.path",
            path,
            errno: rustix::io::Errno::NOTDIR.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_1_are_taken() {
        for good in ["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0", "1.0.0-rc5"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for bad in ["", "1", "1.0", "2.0.0", "0.5.0", "1.x.0", "one", "invalid"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
