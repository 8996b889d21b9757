//! From what a container was created with to the runtime spec: a pure function.

use std::path::Path;

use ferry_oci::Platform;
use ferry_oci::cpu::{Cpu, ElfClass};
use ferry_runtime::capability::{self, CapabilitySet};
use ferry_runtime::profile::{self, ProfileInput, Sysctl, UserNamespace};
use oci_spec::runtime::{Linux, LinuxNamespaceType, LinuxPersonality, LinuxPersonalityDomain, Mount, Process, Spec};

use super::{
    Bind, Confinement, Container, Error, ExecOptions, HostOptions, IpcScope, NetworkMode, NewPrivileges, RootAccess,
    Terminal, Tmpfs, device, join::Joined, ulimit,
};
use crate::Host;

/// The runtime spec of a container whose network files lie in `dir`.
pub(super) fn of_container(
    container: &Container,
    dir: &Path,
    joined: &Joined,
    host: &Host,
    user_namespace: UserNamespace,
) -> Result<Spec, Error> {
    let config = &container.config;
    let options = &config.options;
    let mut spec = profile::default_spec(&ProfileInput {
        shm_size_bytes: options.host.shm_size_bytes,
        hostname: Some(config.hostname.clone()),
        domainname: options.domainname.clone(),
        args: config.args.clone(),
        env: environment(&config.env, &config.hostname, options.terminal),
        cwd: config.working_dir.clone(),
        terminal: terminal(options.terminal),
        network: match joined.network() {
            Some(path) => profile::Network::Path(path),
            None => network(&options.host.network),
        },
        confinement: confinement(options.host.confinement),
        root: match options.host.root {
            RootAccess::ReadWrite => profile::RootAccess::ReadWrite,
            RootAccess::ReadOnly => profile::RootAccess::ReadOnly,
        },
        cgroups: host.cgroups,
        masked_on_this_host: host.masked.clone(),
        capabilities: Some(capabilities(&options.host)?),
        user_namespace,
        ..ProfileInput::default()
    });
    set_personality(&mut spec, &config.platform);
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    options.host.namespaces.change_mounts(&mut mounts);
    mounts.extend(network_file_mounts(dir, &options.host.binds));
    let tmpfs = options.host.tmpfs.iter().map(Tmpfs::to_mount);
    let mut asked: Vec<Mount> = options.host.binds.iter().map(bind_mount).chain(tmpfs).collect();
    asked.sort_by_key(depth);
    mounts.extend(asked);
    spec.set_mounts(Some(mounts));
    if !options.host.annotations.is_empty() {
        spec.set_annotations(Some(options.host.annotations.clone().into_iter().collect()));
    }
    if let Some(process) = spec.process_mut() {
        share_limits(process, &options.host);
    }
    if let Some(linux) = spec.linux_mut() {
        let mut sysctls = linux.sysctl().clone().unwrap_or_default();
        sysctls.extend(options.host.sysctls.clone());
        linux.set_sysctl(Some(sysctls));
        let mut namespaces = linux.namespaces().clone().unwrap_or_default();
        options.host.namespaces.choose(&mut namespaces, joined);
        linux.set_namespaces(Some(namespaces));
        options.host.security.apply(linux);
        if let Some(parent) = &options.host.cgroup_parent {
            linux.set_cgroups_path(Some(Path::new("/").join(parent.as_str()).join(container.id.as_str())));
        }
        add_devices(linux, &options.host)?;
    }
    if let Some(resources) = spec
        .linux_mut()
        .as_mut()
        .and_then(|linux| linux.resources_mut().as_mut())
    {
        container.adjustable().limits.apply(resources)?;
    }
    Ok(spec)
}

/// The process of an exec: confined as the container's own.
pub(super) fn exec_process(container: &Container, options: &ExecOptions) -> Result<Process, Error> {
    let config = &container.config;
    let mut env = environment(&config.env, &config.hostname, options.terminal);
    for entry in &options.env {
        let name = entry.split('=').next().unwrap_or_default();
        env.retain(|existing| existing.split('=').next() != Some(name));
        if entry.contains('=') {
            env.push(entry.clone());
        }
    }
    let capabilities = match options.confinement {
        Confinement::Privileged => CapabilitySet::available(),
        Confinement::Default => capabilities(&config.options.host)?,
    };
    let spec = profile::default_spec(&ProfileInput {
        args: options.command.clone(),
        env,
        cwd: options
            .working_dir
            .clone()
            .unwrap_or_else(|| config.working_dir.clone()),
        terminal: terminal(options.terminal),
        confinement: confinement(options.confinement),
        capabilities: Some(capabilities),
        ..ProfileInput::default()
    });
    let mut process = spec.process().clone().unwrap_or_default();
    share_limits(&mut process, &config.options.host);
    Ok(process)
}

/// What the container's own process and those of its execs have in common.
fn share_limits(process: &mut Process, host: &HostOptions) {
    let profile = process.rlimits().clone().unwrap_or_default();
    process.set_rlimits(Some(ulimit::merge(&profile, &host.ulimits)));
    process.set_oom_score_adj(Some(host.oom_score_adj));
    process.set_no_new_privileges(Some(host.security.new_privileges == NewPrivileges::Forbidden));
}

fn add_devices(linux: &mut Linux, host: &HostOptions) -> Result<(), Error> {
    let (nodes, rules) = device::devices(host)?;
    linux.set_devices(Some(nodes));
    if let Some(resources) = linux.resources_mut() {
        let mut all = resources.devices().clone().unwrap_or_default();
        all.extend(rules);
        resources.set_devices(Some(all));
    }
    Ok(())
}

/// Whether the kernel parameters belong to namespaces of the container's own.
pub(super) fn check_sysctls(host: &HostOptions) -> Result<(), Error> {
    let mut namespaces = profile::namespaces(&ProfileInput {
        network: network(&host.network),
        ..ProfileInput::default()
    });
    host.namespaces.choose(&mut namespaces, &Joined::default());
    namespaces.retain(|namespace| match namespace.typ() {
        LinuxNamespaceType::Network => !matches!(host.network, NetworkMode::Container(_)),
        LinuxNamespaceType::Ipc => !matches!(host.namespaces.ipc, IpcScope::Container(_)),
        _ => true,
    });
    for (name, value) in &host.sysctls {
        if name.starts_with("net.") && host.network == NetworkMode::Host {
            return Err(Error::SysctlOfHostNetwork(name.clone()));
        }
        Sysctl::parse(name, value, &namespaces)?;
    }
    Ok(())
}

/// The capabilities that a container's processes may have.
pub(crate) fn capabilities(host: &HostOptions) -> Result<CapabilitySet, Error> {
    let base = match host.confinement {
        Confinement::Privileged => return Ok(CapabilitySet::available()),
        Confinement::Default => CapabilitySet::DEFAULT,
    };
    capability::resolve(base, &host.cap_add, &host.cap_drop, CapabilitySet::available()).map_err(|error| {
        Error::InvalidOption {
            option: "capability",
            value: [host.cap_add.join(","), host.cap_drop.join(",")].join(" "),
            reason: error.to_string(),
        }
    })
}

/// A 32-bit image on its own 64-bit CPU sees the 32-bit machine: `uname -m` says `i686`, and build tools
/// that ask it are right. Source: `personality(2)`, PER_LINUX32.
pub(crate) fn set_personality(spec: &mut Spec, platform: &Platform) {
    let is_narrower = |cpu: &Cpu| cpu.elf_class == ElfClass::Elf32 && Cpu::host().elf_class == ElfClass::Elf64;
    if let (Some(linux), true) = (spec.linux_mut(), Cpu::of(platform).is_some_and(is_narrower)) {
        let mut personality = LinuxPersonality::default();
        personality.set_domain(LinuxPersonalityDomain::PerLinux32);
        linux.set_personality(Some(personality));
    }
}

fn terminal(terminal: Terminal) -> profile::Terminal {
    match terminal {
        Terminal::None => profile::Terminal::Absent,
        Terminal::Pty { .. } => profile::Terminal::Present,
    }
}

pub(crate) fn confinement(confinement: Confinement) -> profile::Confinement {
    match confinement {
        Confinement::Default => profile::Confinement::Default,
        Confinement::Privileged => profile::Confinement::Privileged,
    }
}

pub(crate) fn network(network: &NetworkMode) -> profile::Network {
    match network {
        NetworkMode::Bridge | NetworkMode::None | NetworkMode::Container(_) => profile::Network::Private,
        NetworkMode::Host => profile::Network::Host,
    }
}

/// Docker adds these where the image and the person do not say them.
fn environment(env: &[String], hostname: &str, terminal: Terminal) -> Vec<String> {
    let mut env = env.to_vec();
    let mut default = |name: &str, value: &str| {
        if !env.iter().any(|entry| entry.split('=').next() == Some(name)) {
            env.push(format!("{name}={value}"));
        }
    };
    default("HOSTNAME", hostname);
    if terminal != Terminal::None {
        default("TERM", "xterm");
    }
    env
}

/// The engine's own files over the image's, unless a bind of the person's takes their place.
fn network_file_mounts<'a>(dir: &'a Path, binds: &'a [Bind]) -> impl Iterator<Item = Mount> + 'a {
    ["hosts", "hostname", "resolv.conf"]
        .into_iter()
        .filter_map(move |name| {
            let target = Path::new("/etc").join(name);
            let is_taken = binds.iter().any(|bind| bind.target == target);
            (!is_taken).then(|| mount(&dir.join(name), &target, &["rbind", "rprivate"]))
        })
}

/// What is mounted in a container that does not run: its binds and, once it ran, the engine's own files.
pub(super) fn idle_mounts(dir: &Path, binds: &[Bind]) -> Vec<Mount> {
    let files = network_file_mounts(dir, binds);
    let written = files.filter(|mount| mount.source().as_ref().is_some_and(|file| file.exists()));
    let private = |bind: &Bind| {
        bind_mount(&Bind {
            propagation: None,
            ..bind.clone()
        })
    };
    let mut asked: Vec<Mount> = binds.iter().map(private).collect();
    asked.sort_by_key(depth);
    written.chain(asked).collect()
}

/// What lies deeper comes later, or it would be covered.
fn depth(mount: &Mount) -> usize {
    mount.destination().components().count()
}

fn bind_mount(bind: &Bind) -> Mount {
    let access = match bind.access {
        RootAccess::ReadWrite => "rw",
        RootAccess::ReadOnly => "ro",
    };
    let propagation = bind.propagation.as_deref().unwrap_or("rprivate");
    mount(&bind.source, &bind.target, &["rbind", access, propagation])
}

pub(crate) fn mount(source: &Path, target: &Path, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(target.to_owned())
        .set_typ(Some("bind".to_owned()))
        .set_source(Some(source.to_owned()))
        .set_options(Some(options.iter().map(|option| (*option).to_owned()).collect()));
    mount
}
