//! Flags about the container's life: name, image policy, restart, removal, logs.

use std::path::PathBuf;

use bollard_stubs::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, RestartPolicy, RestartPolicyNameEnum,
};
use clap::{Args, ValueEnum};

use super::{Wanted, pairs};
use crate::failure::Failure;

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    /// Before it is used, each time.
    Always,
    /// When it is not there.
    Missing,
    /// Not at all.
    Never,
}

/// Flags about the container's life.
#[derive(Debug, Args)]
pub(crate) struct Lifecycle {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// CPU to run on: linux/arm64; the best that can run here if not given
    #[arg(long, value_name = "PLATFORM", env = "DOCKER_DEFAULT_PLATFORM", hide_env = true)]
    platform: Option<String>,
    /// When to pull the image
    #[arg(long, value_name = "POLICY", default_value = "missing")]
    pull: PullPolicy,
    /// Do not show how the pull goes
    #[arg(short, long)]
    quiet: bool,
    /// Remove it when it ends
    #[arg(long)]
    pub(crate) rm: bool,
    /// Start it again when it ends: no, always, unless-stopped, on-failure[:COUNT]
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Write the container's ID to a file that does not exist yet
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Log driver
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Option of the log driver
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
}

impl Lifecycle {
    /// What the flags ask for beside the host's part; body and image are the caller's.
    pub(super) fn apply(self, host: &mut HostConfig) -> Result<Wanted, Failure> {
        let restart = self.restart.as_deref().map(read_restart).transpose()?;
        let restarts = restart
            .as_ref()
            .is_some_and(|policy| policy.name != Some(RestartPolicyNameEnum::NO));
        if self.rm && restarts {
            return Err(Failure::new(
                "conflicting options: cannot specify both --restart and --rm",
            ));
        }
        if let Some(file) = &self.cidfile
            && file.exists()
        {
            return Err(
                Failure::new(format!("the container ID file {} exists already", file.display()))
                    .hint("remove it, if no container of yours goes by it, or choose another"),
            );
        }
        host.auto_remove = Some(self.rm);
        host.restart_policy = restart;
        if self.log_driver.is_some() || !self.log_opt.is_empty() {
            host.log_config = Some(HostConfigLogConfig {
                typ: self.log_driver,
                config: Some(pairs(&self.log_opt)),
            });
        }
        Ok(Wanted {
            body: ContainerCreateBody::default(),
            name: self.name,
            image: String::new(),
            platform: self.platform.filter(|platform| !platform.is_empty()),
            pull: self.pull,
            quiet: self.quiet,
            cidfile: self.cidfile,
        })
    }
}

/// A policy as people write it.
pub(crate) fn read_restart(text: &str) -> Result<RestartPolicy, Failure> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count)),
        None => (text, None),
    };
    let invalid = || {
        Failure::new(format!("invalid restart policy {text:?}"))
            .hint("write no, always, unless-stopped or on-failure[:COUNT]")
    };
    let name = match (name, count) {
        ("no" | "", None) => RestartPolicyNameEnum::NO,
        ("always", None) => RestartPolicyNameEnum::ALWAYS,
        ("unless-stopped", None) => RestartPolicyNameEnum::UNLESS_STOPPED,
        ("on-failure", _) => RestartPolicyNameEnum::ON_FAILURE,
        _ => return Err(invalid()),
    };
    let maximum_retry_count = match count {
        None => None,
        Some(count) => Some(i64::from(count.parse::<u32>().map_err(|_| invalid())?)),
    };
    Ok(RestartPolicy {
        name: Some(name),
        maximum_retry_count,
    })
}
