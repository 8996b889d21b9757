//! Creates a container: image and platform, what the image says, a snapshot, a record.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::Arc;

use ferry_oci::{Digest, ImageConfig};
use time::OffsetDateTime;

use super::{
    Container, ContainerConfig, ContainerId, ContainerOptions, DnsOptions, Error, Filter, HostOptions, Limits,
    LogOptions, MissingSource, NetworkMode, OnExit, Purpose, RestartPolicy, Scope, Ulimit, device, health, id, is_name,
    kill::parse_signal, spec,
};
use crate::image::ResolvedImage;
use crate::{Engine, folder};

/// What was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The container's id.
    pub id: ContainerId,
    /// What its maker should know, in sentences.
    pub warnings: Vec<String>,
}

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Engine {
    /// Creates a container. Wholly done or wholly absent. Docker Engine API `ContainerCreate`.
    pub async fn create_container(&self, name: Option<&str>, options: ContainerOptions) -> Result<Created, Error> {
        let name = name.map(|name| name.strip_prefix('/').unwrap_or(name));
        if let Some(name) = name.filter(|name| !is_name(name)) {
            return Err(Error::InvalidName(name.to_owned()));
        }
        let (engine, name) = (self.clone(), name.map(str::to_owned));
        tokio::task::spawn_blocking(move || engine.create_blocking(name, options)).await?
    }

    fn create_blocking(&self, name: Option<String>, mut options: ContainerOptions) -> Result<Created, Error> {
        // Its content stays until the container holds it.
        let _lease = self.store.lease();
        let image = self.resolve_image(&options.image, options.platform.as_ref())?;
        let id = ContainerId::random();
        check_network(&options)?;
        let neighbour = self.find_joined(&mut options)?;
        let mut config = merge(&id, options, &image)?;
        if let Some(neighbour) = neighbour {
            config.hostname = neighbour.config.hostname.clone();
            config.options.domainname = neighbour.config.options.domainname.clone();
        }
        check(&config)?;
        let mut warnings = image.notices.clone();
        let limits = &mut config.options.host.limits;
        if *limits != Limits::default() {
            warnings.extend(limits.verify(self.abilities(), Purpose::Create)?);
        }
        warnings.extend(Ulimit::warnings(&config.options.host.ulimits));
        self.emulation_for(&config.platform)?;
        let host = &config.options.host;
        if matches!(host.security.seccomp, Filter::Profile(_)) {
            self.filter_of(host, host.confinement)?;
        }
        let name = self.take_name(name, &id)?;
        let container = Arc::new(Container::new(id, name, OffsetDateTime::now_utc(), config));
        let made = self.create_files(&container).and_then(|()| {
            let announce = || self.containers.insert(container.clone());
            Ok(self.use_image(&container.config.options.image, &image.target, announce)?)
        });
        if let Err(error) = made {
            self.delete_files(&container);
            self.containers.release_name(&container.name(), &container.id);
            return Err(error);
        }
        self.events
            .send("container", "create", container.id.as_str(), container.attributes());
        Ok(Created {
            id: container.id.clone(),
            warnings,
        })
    }

    fn take_name(&self, wanted: Option<String>, id: &ContainerId) -> Result<String, Error> {
        if let Some(name) = wanted {
            self.containers.reserve_name(&name, id)?;
            return Ok(name);
        }
        let mut attempt = 0;
        loop {
            let name = id::random_name(attempt);
            match self.containers.reserve_name(&name, id) {
                Err(Error::NameInUse { .. }) => attempt += 1,
                taken => return taken.map(|()| name),
            }
        }
    }

    /// The record comes last: without it, what was made before counts as left over.
    fn create_files(&self, container: &Container) -> Result<(), Error> {
        let dir = container.dir(&self.instance);
        folder::create(&dir)?;
        let durability = container.durability();
        self.store
            .snapshots()
            .prepare(&container.snapshot_id()?, &container.config.layers, durability)?;
        container.write_record(&dir, &container.name(), &container.adjustable())
    }
}

/// What was asked for, on top of what the image says. Source: OCI image-spec `conversion.md`.
fn merge(id: &ContainerId, options: ContainerOptions, image: &ResolvedImage) -> Result<ContainerConfig, Error> {
    let image_config: &ImageConfig = &image.image.config;
    let defaults = &image_config.config;
    let args = command(&options, defaults.entrypoint.as_deref(), defaults.cmd.as_deref())?;
    let working_dir = options
        .working_dir
        .clone()
        .or_else(|| Some(defaults.working_dir.clone()).filter(|dir| !dir.is_empty()))
        .unwrap_or_else(|| "/".to_owned());
    let mut labels: BTreeMap<String, String> = defaults.labels.clone();
    labels.extend(options.labels.clone());
    Ok(ContainerConfig {
        image: Some(Digest::try_from(image.target.digest()).map_err(ferry_store::Error::from)?),
        config_digest: image.image.config_digest()?,
        manifest: Digest::try_from(image.image.manifest_descriptor.digest()).map_err(ferry_store::Error::from)?,
        platform: image.image.platform.clone(),
        layers: image.image.diff_ids(),
        args,
        env: environment(&defaults.env, &options),
        working_dir,
        user: options.user.clone().unwrap_or_else(|| defaults.user.clone()),
        hostname: match &options.hostname {
            Some(hostname) => hostname.clone(),
            None if shares_hostname(&options.host) => host_name(),
            None => id.short().to_owned(),
        },
        labels,
        healthcheck: health::inherit(options.healthcheck.as_ref(), defaults.healthcheck.as_ref()),
        shell: defaults.shell.clone(),
        stop_signal: options.stop_signal.clone().or_else(|| defaults.stop_signal.clone()),
        options,
    })
}

/// An entry point that was asked for makes the image's command void.
fn command(
    options: &ContainerOptions,
    image_entrypoint: Option<&[String]>,
    image_command: Option<&[String]>,
) -> Result<Vec<String>, Error> {
    let entrypoint = match &options.entrypoint {
        // Docker's `--entrypoint ""` arrives as one empty word.
        Some(words) => Some(words.as_slice()).filter(|words| *words != [String::new()]),
        None => image_entrypoint,
    };
    let command = match (&options.command, &options.entrypoint) {
        (Some(words), _) if !words.is_empty() => words.as_slice(),
        (_, Some(_)) => &[],
        (_, None) => image_command.unwrap_or_default(),
    };
    let args = [entrypoint.unwrap_or_default(), command].concat();
    if args.is_empty() {
        return Err(Error::NoCommand);
    }
    Ok(args)
}

/// The image's environment with what was asked for on top, in order, later values winning.
fn environment(image: &[String], options: &ContainerOptions) -> Vec<String> {
    let name_of = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = image.to_vec();
    if !env.iter().any(|entry| entry.starts_with("PATH=")) {
        env.insert(0, DEFAULT_PATH.to_owned());
    }
    for entry in &options.env {
        env.retain(|existing| name_of(existing) != name_of(entry));
        if entry.contains('=') {
            env.push(entry.clone());
        }
    }
    env
}

/// Whether it has the host's name unless it is given another one.
fn shares_hostname(host: &HostOptions) -> bool {
    host.namespaces.uts == Scope::Host || host.network == NetworkMode::Host
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What cannot be asked for together with another container's network. Source: moby `runconfig/hostconfig_unix.go`.
fn check_network(options: &ContainerOptions) -> Result<(), Error> {
    let host = &options.host;
    if !matches!(host.network, NetworkMode::Container(_)) {
        return Ok(());
    }
    let conflicts = [
        ("hostname", options.hostname.is_some()),
        ("dns", host.dns != DnsOptions::default()),
        ("custom host-to-IP mapping", !host.extra_hosts.is_empty()),
    ];
    match conflicts.into_iter().find(|(_, is_given)| *is_given) {
        Some((what, _)) => Err(Error::NetworkConflict(what)),
        None => Ok(()),
    }
}

/// What can be known to be wrong before anything is made.
fn check(config: &ContainerConfig) -> Result<(), Error> {
    let options = &config.options;
    let invalid = |option, value: &str, reason: &str| {
        Err(Error::InvalidOption {
            option,
            value: value.chars().take(300).collect(),
            reason: reason.to_owned(),
        })
    };
    let strings = config
        .args
        .iter()
        .chain(&config.env)
        .chain([&config.working_dir, &config.user, &config.hostname]);
    if let Some(bad) = strings.into_iter().find(|text| text.contains('\0')) {
        return invalid("text", bad, "it contains a zero byte");
    }
    if !config.working_dir.starts_with('/') {
        return invalid(
            "WorkingDir",
            &config.working_dir,
            "the working directory needs to be an absolute path",
        );
    }
    if config.hostname.is_empty() || config.hostname.len() > 64 {
        return invalid("Hostname", &config.hostname, "a host name has 1 to 64 characters");
    }
    if let Some(signal) = &config.stop_signal {
        parse_signal(signal)?;
    }
    if let Some(check) = &config.healthcheck {
        health::verify(check)?;
    }
    if let LogOptions::JsonFile { more, .. } = &options.host.log
        && let Some(part) = more.unknown_in_tag()
    {
        return invalid(
            "log tag",
            &part,
            "it is no field of Docker's: ID, FullID, Name, ImageID, ImageFullID, ImageName, DaemonName",
        );
    }
    spec::capabilities(&options.host)?;
    spec::check_sysctls(&options.host)?;
    if let Some(fault) = options.host.ulimits.iter().find_map(Ulimit::fault) {
        return Err(Error::Ulimit(fault));
    }
    if !(-1000..=1000).contains(&options.host.oom_score_adj) {
        return Err(Error::OomScoreAdj(options.host.oom_score_adj));
    }
    if options.hostname.is_some() && options.host.namespaces.uts == Scope::Host {
        return Err(Error::HostnameOfHost);
    }
    if options.host.on_exit == OnExit::Remove && options.host.restart != RestartPolicy::No {
        return Err(Error::RestartsAndRemoves);
    }
    for device in &options.host.devices {
        check_target(&device.target)?;
    }
    device::devices(&options.host)?;
    for tmpfs in &options.host.tmpfs {
        check_target(&tmpfs.target)?;
        if let Some(option) = tmpfs.unknown_option() {
            return invalid("tmpfs option", option, "a tmpfs has no such option");
        }
    }
    for bind in &options.host.binds {
        check_target(&bind.target)?;
        if !bind.source.is_absolute() {
            return invalid(
                "mount source",
                &bind.source.to_string_lossy(),
                "it must be an absolute path",
            );
        }
        match (bind.source.symlink_metadata(), bind.missing_source) {
            (Ok(_), _) => {}
            (Err(error), MissingSource::Create) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&bind.source).map_err(|source| Error::File {
                    path: bind.source.clone(),
                    source,
                })?;
            }
            (Err(_), _) => return Err(Error::NoSuchBindSource(bind.source.clone())),
        }
    }
    Ok(())
}

/// Where something can be mounted inside.
fn check_target(target: &Path) -> Result<(), Error> {
    let is_plain = !target.components().any(|part| part == Component::ParentDir);
    if target.is_absolute() && target != Path::new("/") && is_plain {
        return Ok(());
    }
    Err(Error::InvalidOption {
        option: "mount target",
        value: target.to_string_lossy().chars().take(300).collect(),
        reason: "it must be an absolute path inside the container other than /".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn entry_point_and_command_combine_as_docker_does() {
        let check = |entrypoint: Option<&str>, command: Option<&str>, expected: Option<&str>| {
            let options = ContainerOptions {
                entrypoint: entrypoint.map(words),
                command: command.map(words),
                ..Default::default()
            };
            let (image_entrypoint, image_command) = (words("entry"), words("default args"));
            let args = super::command(&options, Some(&image_entrypoint), Some(&image_command));
            assert_eq!(args.ok(), expected.map(words), "{entrypoint:?} {command:?}");
        };
        check(None, None, Some("entry default args"));
        check(None, Some(""), Some("entry default args"));
        check(None, Some("own"), Some("entry own"));
        check(Some("other"), None, Some("other"));
        check(Some("other"), Some("own"), Some("other own"));
        check(Some(""), Some("own"), Some("own"));
        check(Some(""), None, None);
    }

    #[test]
    fn later_environment_wins_and_a_bare_name_removes() {
        let options = ContainerOptions {
            env: words("A=2 B C=3"),
            ..Default::default()
        };
        let env = environment(&words("PATH=/bin A=1 B=1"), &options);
        assert_eq!(env, words("PATH=/bin A=2 C=3"));
        assert_eq!(environment(&[], &ContainerOptions::default()), [DEFAULT_PATH]);
    }
}
