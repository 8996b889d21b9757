//! Flags about what the container may do and what it shares with the host.

use bollard_stubs::models::{DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum};
use clap::Args;

use super::{pairs, some};
use crate::failure::{Explain, Failure};

/// Flags about what the container may do and what it shares with the host.
#[derive(Debug, Args)]
pub(crate) struct Isolation {
    /// Give it all capabilities and devices, without seccomp or masks
    #[arg(long)]
    privileged: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, apparmor=PROFILE, systempaths=unconfined, label=…
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Add a device of the host
    #[arg(long, value_name = "PATH[:PATH[:rwm]]")]
    device: Vec<String>,
    /// Allow devices by cgroup rule
    #[arg(long, value_name = "RULE")]
    device_cgroup_rule: Vec<String>,
    /// Another group of the process
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Process namespace: host, container:NAME
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// IPC namespace: private, shareable, host, container:NAME, none
    #[arg(long, value_name = "MODE")]
    ipc: Option<String>,
    /// Host name namespace: host
    #[arg(long, value_name = "MODE")]
    uts: Option<String>,
    /// User namespace: host
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Cgroup namespace
    #[arg(long, value_name = "MODE", value_parser = ["host", "private"])]
    cgroupns: Option<String>,
    /// Set a kernel parameter of its namespaces
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// Run an init that reaps orphans
    #[arg(long)]
    init: bool,
    /// OCI runtime
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// Annotation for the OCI runtime
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
}

impl Isolation {
    pub(super) fn apply(self, host: &mut HostConfig) -> Result<(), Failure> {
        host.privileged = Some(self.privileged);
        host.cap_add = some(self.cap_add);
        host.cap_drop = some(self.cap_drop);
        host.security_opt = some(
            self.security_opt
                .into_iter()
                .map(read_security)
                .collect::<Result<_, _>>()?,
        );
        host.devices = some(
            self.device
                .iter()
                .map(|text| read_device(text))
                .collect::<Result<_, _>>()?,
        );
        host.device_cgroup_rules = some(self.device_cgroup_rule);
        host.group_add = some(self.group_add);
        host.pid_mode = self.pid;
        host.ipc_mode = self.ipc;
        host.uts_mode = self.uts;
        host.userns_mode = self.userns;
        host.cgroupns_mode = self.cgroupns.map(|mode| match mode.as_str() {
            "host" => HostConfigCgroupnsModeEnum::HOST,
            _ => HostConfigCgroupnsModeEnum::PRIVATE,
        });
        host.sysctls = (!self.sysctl.is_empty()).then(|| pairs(&self.sysctl));
        host.init = self.init.then_some(true);
        host.runtime = self.runtime;
        host.annotations = (!self.annotation.is_empty()).then(|| pairs(&self.annotation));
        Ok(())
    }
}

/// A seccomp profile is a file here; the engine gets its text.
fn read_security(option: String) -> Result<String, Failure> {
    let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
        return Ok(option);
    };
    if key != "seccomp" || matches!(value, "unconfined" | "builtin") {
        return Ok(option);
    }
    let text = std::fs::read_to_string(value).explain(|| format!("cannot read the seccomp profile {value}"))?;
    let profile: serde_json::Value =
        serde_json::from_str(&text).explain(|| format!("the seccomp profile {value} is not JSON"))?;
    Ok(format!("seccomp={profile}"))
}

fn read_device(text: &str) -> Result<DeviceMapping, Failure> {
    let invalid = || {
        Failure::new(format!("invalid device {text:?}"))
            .hint("write PATH, PATH:PATH or PATH:PATH:rwm, the paths absolute")
    };
    let is_mode = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    let parts: Vec<&str> = text.split(':').collect();
    let (outside, inside, mode) = match parts.as_slice() {
        [outside] => (*outside, *outside, "rwm"),
        [outside, mode] if is_mode(mode) => (*outside, *outside, *mode),
        [outside, inside] => (*outside, *inside, "rwm"),
        [outside, inside, mode] if is_mode(mode) => (*outside, *inside, *mode),
        _ => return Err(invalid()),
    };
    if !outside.starts_with('/') || !inside.starts_with('/') {
        return Err(invalid());
    }
    Ok(DeviceMapping {
        path_on_host: Some(outside.to_owned()),
        path_in_container: Some(inside.to_owned()),
        cgroup_permissions: Some(mode.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let shown = |text| {
            let device = read_device(text).ok()?;
            Some(
                [
                    device.path_on_host?,
                    device.path_in_container?,
                    device.cgroup_permissions?,
                ]
                .join(" "),
            )
        };
        for (text, device) in [
            ("/dev/a", Some("/dev/a /dev/a rwm")),
            ("/dev/a:rw", Some("/dev/a /dev/a rw")),
            ("/dev/a:/dev/b", Some("/dev/a /dev/b rwm")),
            ("/dev/a:/dev/b:r", Some("/dev/a /dev/b r")),
            ("a", None),
            ("/dev/a:/dev/b:x", None),
        ] {
            assert_eq!(shown(text).as_deref(), device, "{text}");
        }
    }
}
