//! What a container may do beyond or below the profile: security options, namespaces, devices.

use bollard_stubs::models::{DeviceMapping, HostConfig, HostConfigCgroupnsModeEnum};
use ferry_engine::container::{
    Device, Filter, HostOptions, IpcScope, NamespaceOptions, NewPrivileges, Scope, Security,
};

use crate::error::ApiError;

/// `HostConfig.SecurityOpt` and the paths. Source: moby `daemon_unix.go`, `parseSecurityOpt`.
pub(super) fn parse(host: &HostConfig) -> Result<Security, ApiError> {
    let mut security = Security {
        given: host.security_opt.clone().unwrap_or_default(),
        ..Default::default()
    };
    for option in host.security_opt.iter().flatten() {
        take(&mut security, option)?;
    }
    if host.masked_paths.is_some() {
        security.masked_paths = absolute(host.masked_paths.as_ref())?;
    }
    if host.readonly_paths.is_some() {
        security.read_only_paths = absolute(host.readonly_paths.as_ref())?;
    }
    Ok(security)
}

fn take(security: &mut Security, option: &str) -> Result<(), ApiError> {
    let shown: String = option.chars().take(200).collect();
    let invalid = || Err(ApiError::bad_request(format!("invalid --security-opt: {shown:?}")));
    let refuse = |what: &str| {
        Err(ApiError::not_implemented(format!(
            "--security-opt {shown:?} is not supported yet: {what}"
        )))
    };
    if option == "no-new-privileges" {
        security.new_privileges = NewPrivileges::Forbidden;
        return Ok(());
    }
    let Some((key, value)) = option.split_once('=').or_else(|| option.split_once(':')) else {
        return invalid();
    };
    match (key, value) {
        ("no-new-privileges", "1" | "t" | "T" | "true" | "TRUE" | "True") => {
            security.new_privileges = NewPrivileges::Forbidden;
        }
        ("no-new-privileges", "0" | "f" | "F" | "false" | "FALSE" | "False") => {
            security.new_privileges = NewPrivileges::Allowed;
        }
        ("seccomp", "unconfined") => security.seccomp = Filter::Unconfined,
        ("seccomp", "builtin") => security.seccomp = Filter::Default,
        ("seccomp", profile) => security.seccomp = Filter::Profile(profile.to_owned()),
        ("systempaths", "unconfined") => {
            security.masked_paths = Some(Vec::new());
            security.read_only_paths = Some(Vec::new());
        }
        // Neither is set by the engine: what they ask for is so.
        ("apparmor", "unconfined") | ("label", "disable") => {}
        ("apparmor", _) => return refuse("containers run without an AppArmor profile of their own"),
        ("label", _) => return refuse("labels are not set"),
        _ => return invalid(),
    }
    Ok(())
}

fn absolute(paths: Option<&Vec<String>>) -> Result<Option<Vec<String>>, ApiError> {
    match paths.into_iter().flatten().find(|path| !path.starts_with('/')) {
        Some(path) => Err(ApiError::bad_request(format!("path {path:?} is not absolute"))),
        None => Ok(paths.cloned()),
    }
}

/// Namespaces that can be shared with the host.
pub(super) fn parse_namespaces(host: &HostConfig) -> Result<NamespaceOptions, ApiError> {
    let scope = |name: &str, mode: Option<&String>| match mode.map(String::as_str).unwrap_or_default() {
        "" | "private" => Ok(Scope::Default),
        "host" => Ok(Scope::Host),
        other => match other_container(other) {
            Some(container) if name == "PID" => Ok(Scope::Container(container)),
            _ => Err(invalid_mode(name, other)),
        },
    };
    Ok(NamespaceOptions {
        pid: scope("PID", host.pid_mode.as_ref())?,
        uts: scope("UTS", host.uts_mode.as_ref())?,
        ipc: match host.ipc_mode.as_deref().unwrap_or_default() {
            "" | "private" => IpcScope::Private,
            "shareable" => IpcScope::Shareable,
            "none" => IpcScope::None,
            "host" => IpcScope::Host,
            other => match other_container(other) {
                Some(container) => IpcScope::Container(container),
                None => return Err(invalid_mode("IPC", other)),
            },
        },
        cgroup: match host.cgroupns_mode {
            Some(HostConfigCgroupnsModeEnum::HOST) => Scope::Host,
            _ => Scope::Default,
        },
    })
}

/// The container of `container:NAME`.
pub(super) fn other_container(mode: &str) -> Option<String> {
    let name = mode.strip_prefix("container:")?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn invalid_mode(name: &str, mode: &str) -> ApiError {
    ApiError::bad_request(format!("invalid {name} mode: {mode}"))
}

pub(super) fn parse_devices(host: &HostConfig) -> Result<Vec<Device>, ApiError> {
    host.devices.iter().flatten().map(parse_device).collect()
}

fn parse_device(device: &DeviceMapping) -> Result<Device, ApiError> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let source = text(&device.path_on_host).unwrap_or_default();
    let access = text(&device.cgroup_permissions).unwrap_or_else(|| "rwm".to_owned());
    if !access.chars().all(|letter| "rwm".contains(letter)) {
        return Err(ApiError::bad_request(format!("invalid device mode: {access:?}")));
    }
    Ok(Device {
        target: text(&device.path_in_container).unwrap_or_else(|| source.clone()).into(),
        source: source.into(),
        access,
    })
}

/// All of it as an inspect shows it.
pub(super) fn show(host: &HostOptions, shown: &mut HostConfig) {
    let (security, namespaces) = (&host.security, &host.namespaces);
    let scope = |scope: &Scope| match scope {
        Scope::Default => Some(String::new()),
        Scope::Host => Some("host".to_owned()),
        Scope::Container(id) => Some(format!("container:{id}")),
    };
    shown.security_opt = (!security.given.is_empty()).then(|| security.given.clone());
    shown.masked_paths = security.masked_paths.clone();
    shown.readonly_paths = security.read_only_paths.clone();
    shown.pid_mode = scope(&namespaces.pid);
    shown.uts_mode = scope(&namespaces.uts);
    shown.ipc_mode = Some(match &namespaces.ipc {
        IpcScope::Private => "private".to_owned(),
        IpcScope::Shareable => "shareable".to_owned(),
        IpcScope::None => "none".to_owned(),
        IpcScope::Host => "host".to_owned(),
        IpcScope::Container(id) => format!("container:{id}"),
    });
    shown.cgroupns_mode = (namespaces.cgroup == Scope::Host).then_some(HostConfigCgroupnsModeEnum::HOST);
    let devices = host.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.source.to_string_lossy().into_owned()),
        path_in_container: Some(device.target.to_string_lossy().into_owned()),
        cgroup_permissions: Some(device.access.clone()),
    });
    shown.devices = Some(devices.collect());
    shown.device_cgroup_rules = (!host.device_rules.is_empty()).then(|| host.device_rules.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(option: &str) -> Result<Security, String> {
        let host = HostConfig {
            security_opt: Some(vec![option.to_owned()]),
            ..Default::default()
        };
        parse(&host).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn security_options_are_read_or_refused() {
        for option in ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=1"] {
            let read = read(option).expect(option);
            assert_eq!(read.new_privileges, NewPrivileges::Forbidden, "{option}");
        }
        let plain = read("no-new-privileges=false").expect("an option");
        assert_eq!(plain.new_privileges, NewPrivileges::Allowed);
        assert_eq!(
            read("seccomp=unconfined").expect("an option").seccomp,
            Filter::Unconfined
        );
        assert_eq!(
            read("seccomp={\"a\": \"=\"}").expect("an option").seccomp,
            Filter::Profile("{\"a\": \"=\"}".to_owned())
        );
        let paths = read("systempaths=unconfined").expect("an option");
        assert_eq!(
            (paths.masked_paths, paths.read_only_paths),
            (Some(vec![]), Some(vec![]))
        );
        for option in [
            "apparmor=unconfined",
            "label=disable",
            "label:disable",
            "seccomp=builtin",
        ] {
            assert!(read(option).is_ok(), "{option}");
        }
        for (option, words) in [
            ("apparmor=own", "not supported yet"),
            ("label=type:x", "not supported yet"),
            ("nonsense", "invalid --security-opt"),
            ("no-new-privileges=perhaps", "invalid --security-opt"),
        ] {
            let error = read(option).expect_err(option);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn modes_of_namespaces_are_known_or_refused() {
        let of = |pid: &str, ipc: &str| {
            parse_namespaces(&HostConfig {
                pid_mode: Some(pid.to_owned()),
                ipc_mode: Some(ipc.to_owned()),
                ..Default::default()
            })
            .map(|namespaces| (namespaces.pid, namespaces.ipc))
            .map_err(|error| error.message().to_owned())
        };
        assert_eq!(of("", ""), Ok((Scope::Default, IpcScope::Private)));
        assert_eq!(of("host", "none"), Ok((Scope::Host, IpcScope::None)));
        let joined = (Scope::Container("x".to_owned()), IpcScope::Container("y".to_owned()));
        assert_eq!(of("container:x", "container:y"), Ok(joined));
        assert_eq!(of("", "nonsense"), Err("invalid IPC mode: nonsense".to_owned()));
        assert_eq!(of("container:", ""), Err("invalid PID mode: container:".to_owned()));
    }
}
