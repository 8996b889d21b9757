//! `ferry update`: changes limits and restart policies of containers that exist.

use bollard_stubs::models::{ContainerUpdateBody, ContainerUpdateResponse, HostConfig};
use clap::Args;

use super::options::{Limits, read_restart};
use super::path;
use crate::command::{Verb, each, each::Said};
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    limits: Limits,
    /// When to start it again when it ends: no, always, unless-stopped, on-failure[:COUNT]
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Update {
    const ABOUT: &'static str = "Change limits and restart policies of containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let mut host = HostConfig::default();
        self.limits.apply(&mut host)?;
        host.restart_policy = self.restart.as_deref().map(read_restart).transpose()?;
        let body = body(host);
        if body == ContainerUpdateBody::default() {
            return Err(
                Failure::new("you must provide one or more flags when using this command")
                    .hint("see what can be changed: ferry update --help"),
            );
        }
        let engine = invocation.engine()?;
        each::name(&self.containers, async |name| {
            let updated: ContainerUpdateResponse = engine
                .post(path(name, "update"))
                .json_body(&body)
                .json()
                .await
                .map_err(|error| Failure::from(error).while_doing(format!("cannot update {name}")))?;
            for warning in updated.warnings.iter().flatten() {
                terminal::note(&format!("WARNING: {warning}"));
            }
            Ok(Said::Name)
        })
        .await
    }
}

/// What was asked for as an update's body: the same fields under the same names.
fn body(host: HostConfig) -> ContainerUpdateBody {
    ContainerUpdateBody {
        memory: host.memory,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        nano_cpus: host.nano_cpus,
        cpu_shares: host.cpu_shares,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus,
        cpuset_mems: host.cpuset_mems,
        pids_limit: host.pids_limit,
        blkio_weight: host.blkio_weight,
        restart_policy: host.restart_policy,
        ..ContainerUpdateBody::default()
    }
}
