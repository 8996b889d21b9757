//! Runs the process of a RUN step: confined as a container's, in the step's snapshot, gone without a trace.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use async_trait::async_trait;
use ferry_build::{
    ErrorClass, MountAccess, MountSource, PortError, Secret, Step, StepMount, StepNetwork, StepOutput, StepRunner,
};
use ferry_runtime::capability::CapabilitySet;
use ferry_runtime::profile::{self, ProfileInput};
use ferry_runtime::{AttachOptions, Durability, FirstProcess, Log, Overlay, Signal, Stdin, Stdio};
use oci_spec::runtime::{Mount, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Spec};
use tokio_util::sync::CancellationToken;

use super::images::class;
use super::{leftover, step_output};
use crate::container::start::{read_exit, start_error};
use crate::container::{self, Confinement, ContainerId, HostOptions, NetworkMode, spec};
use crate::launch::{LaunchRequest, Launched};
use crate::network::Endpoint;
use crate::{Engine, folder};

/// The host name of steps that ask for none, as in BuildKit.
const HOSTNAME: &str = "buildkitsandbox";
/// The exit code of a step whose monitor was killed: as if SIGKILL had come.
const KILLED: i32 = 128 + 9;

/// Runs steps in an engine's runtime.
pub(super) struct Steps {
    engine: Engine,
}

impl Steps {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl StepRunner for Steps {
    async fn run(&self, step: &Step, output: &StepOutput) -> Result<i32, PortError> {
        let cancelled = CancellationToken::new();
        let _cancels = cancelled.clone().drop_guard();
        let (engine, step, output) = (self.engine.clone(), step.clone(), output.clone());
        // A task of its own: dropping the caller's future must not skip the cleaning up.
        let task = tokio::spawn(async move { engine.run_step(step, &output, &cancelled).await });
        task.await
            .map_err(container::Error::from)
            .and_then(|ended| ended)
            .map_err(|error| PortError::new(class_of(&error), error))
    }
}

impl Engine {
    async fn run_step(
        &self,
        step: Step,
        output: &StepOutput,
        cancelled: &CancellationToken,
    ) -> Result<i32, container::Error> {
        let engine = self.clone();
        let launched = tokio::task::spawn_blocking(move || engine.launch_step(&step)).await??;
        let ended = self.follow_step(&launched, output, cancelled).await;
        let engine = self.clone();
        // The builder takes the snapshot apart as soon as it has the exit code.
        tokio::task::spawn_blocking(move || engine.release(&launched)).await?;
        ended
    }

    /// Blocking: the process up to where it waits for its start.
    fn launch_step(&self, step: &Step) -> Result<Launched, container::Error> {
        let id = ContainerId::random();
        let network = network_mode(step.network);
        let endpoint = self.take_endpoint(&network)?;
        let launched = self
            .step_request(step, &id, &network, endpoint.clone())
            .and_then(|request| self.launch(request));
        launched.inspect_err(|_| {
            folder::remove(&self.instance.state_dir(id.as_str()));
            self.release_endpoint(endpoint);
        })
    }

    fn step_request<'a>(
        &self,
        step: &'a Step,
        id: &'a ContainerId,
        network: &NetworkMode,
        endpoint: Option<Endpoint>,
    ) -> Result<LaunchRequest<'a>, container::Error> {
        let state_dir = self.instance.state_dir(id.as_str());
        folder::create(&state_dir)?;
        leftover::mark(&state_dir)?;
        let hosts = HostOptions {
            network: network.clone(),
            extra_hosts: step
                .limits
                .hosts
                .iter()
                .map(|(name, address)| format!("{name}={address}"))
                .collect(),
            ..HostOptions::default()
        };
        let hostname = step.limits.hostname.as_deref().unwrap_or(HOSTNAME);
        container::write_network_files(&state_dir, hostname, &hosts, endpoint.as_ref())?;
        Ok(LaunchRequest {
            id: id.as_str(),
            spec: self.step_spec(step, hostname, network, &state_dir)?,
            seccomp: self.seccomp(Confinement::Default, &CapabilitySet::DEFAULT)?,
            overlay: Overlay {
                lower: step.root.lower.clone(),
                upper: step.root.upper.clone(),
                work: step.root.work.clone(),
                volatile: true,
                read_only: false,
            },
            groups: &[],
            user: &step.user,
            first_process: FirstProcess::Program,
            stdio: Stdio {
                tty: None,
                stdin: Stdin::Closed,
                log: Log::None,
            },
            emulate: self.emulation_for(&step.platform)?,
            endpoint,
            shared_memory: None,
            exit_record: state_dir.join("exit.json"),
            durability: Durability::Volatile,
        })
    }

    fn step_spec(
        &self,
        step: &Step,
        hostname: &str,
        network: &NetworkMode,
        dir: &Path,
    ) -> Result<Spec, container::Error> {
        let mut made = profile::default_spec(&ProfileInput {
            hostname: Some(hostname.to_owned()).filter(|_| *network != NetworkMode::Host),
            args: step.args.clone(),
            env: step.env.clone(),
            cwd: step.working_dir.clone(),
            network: spec::network(network),
            cgroups: self.host().cgroups,
            capabilities: Some(CapabilitySet::DEFAULT),
            shm_size_bytes: step.limits.shm_size_bytes,
            user_namespace: self.user_namespace(&step.platform)?,
            ..ProfileInput::default()
        });
        let mut mounts = made.mounts().clone().unwrap_or_default();
        for name in ["hosts", "resolv.conf"] {
            let target = Path::new("/etc").join(name);
            mounts.push(spec::mount(&dir.join(name), &target, &["rbind", "rprivate"]));
        }
        for (number, mount) in step.mounts.iter().enumerate() {
            mounts.push(step_mount(mount, &dir.join(format!("secret-{number}")))?);
        }
        spec::set_personality(&mut made, &step.platform);
        made.set_mounts(Some(mounts));
        if let Some(process) = made.process_mut()
            && !step.limits.ulimits.is_empty()
        {
            process.set_rlimits(Some(rlimits(&step.limits.ulimits)?));
        }
        Ok(made)
    }

    /// Starts the process and waits for its end, or ends it.
    async fn follow_step(
        &self,
        launched: &Launched,
        output: &StepOutput,
        cancelled: &CancellationToken,
    ) -> Result<i32, container::Error> {
        let monitor = &launched.monitor;
        let streams = monitor.attach(AttachOptions {
            stdin: false,
            stdout: true,
            stderr: true,
        })?;
        let watch = monitor.watch()?;
        if cancelled.is_cancelled() {
            return Ok(KILLED);
        }
        monitor.start().map_err(start_error)?;
        let exit = read_exit(watch);
        tokio::pin!(exit);
        let ending = async {
            tokio::select! {
                exit = &mut exit => exit,
                () = cancelled.cancelled() => {
                    // The process is the first of its pid namespace: all others die with it.
                    let _ = monitor.signal(Signal::KILL);
                    exit.await
                }
            }
        };
        let telling = async {
            tokio::select! {
                relayed = step_output::relay(streams, output) => relayed,
                () = cancelled.cancelled() => Ok(()),
            }
        };
        let (exit, relayed) = tokio::join!(ending, telling);
        if let Err(error) = relayed {
            tracing::warn!(%error, "output of a build step was lost");
        }
        if exit.is_none() {
            self.clear_remains(&launched.state_dir);
        }
        Ok(exit.map_or(KILLED, |exit| i32::from(exit.code)))
    }
}

fn network_mode(network: StepNetwork) -> NetworkMode {
    match network {
        StepNetwork::Default => NetworkMode::Bridge,
        StepNetwork::None => NetworkMode::None,
        StepNetwork::Host => NetworkMode::Host,
    }
}

/// A step's mount; a secret is written to `secret_file`, in a folder that goes with the step.
fn step_mount(mount: &StepMount, secret_file: &Path) -> Result<Mount, container::Error> {
    let target = Path::new(&mount.target);
    match &mount.source {
        MountSource::Host { path, access } => {
            let access = match access {
                MountAccess::ReadOnly => "ro",
                MountAccess::ReadWrite => "rw",
            };
            Ok(spec::mount(path, target, &["rbind", "rprivate", access]))
        }
        MountSource::Secret { secret, mode, uid, gid } => {
            write_secret(secret_file, secret, *mode, (*uid, *gid)).map_err(|source| container::Error::File {
                path: secret_file.to_owned(),
                source,
            })?;
            Ok(spec::mount(secret_file, target, &["rbind", "rprivate", "ro"]))
        }
        MountSource::Tmpfs { size_bytes } => {
            let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
            options.extend(size_bytes.map(|size| format!("size={size}")));
            let mut tmpfs = Mount::default();
            tmpfs
                .set_destination(target.to_owned())
                .set_typ(Some("tmpfs".to_owned()))
                .set_source(Some("tmpfs".into()))
                .set_options(Some(options));
            Ok(tmpfs)
        }
    }
}

/// The folder lies in memory, as all that does not outlive a boot, and is root's alone.
fn write_secret(path: &Path, secret: &Secret, mode: u32, (uid, gid): (u32, u32)) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.expose())?;
    std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
    file.set_permissions(Permissions::from_mode(mode))
}

fn rlimits(ulimits: &[(String, u64, u64)]) -> Result<Vec<PosixRlimit>, container::Error> {
    let kind = |name: &str| match name {
        "as" => Some(PosixRlimitType::RlimitAs),
        "core" => Some(PosixRlimitType::RlimitCore),
        "cpu" => Some(PosixRlimitType::RlimitCpu),
        "data" => Some(PosixRlimitType::RlimitData),
        "fsize" => Some(PosixRlimitType::RlimitFsize),
        "locks" => Some(PosixRlimitType::RlimitLocks),
        "memlock" => Some(PosixRlimitType::RlimitMemlock),
        "msgqueue" => Some(PosixRlimitType::RlimitMsgqueue),
        "nice" => Some(PosixRlimitType::RlimitNice),
        "nofile" => Some(PosixRlimitType::RlimitNofile),
        "nproc" => Some(PosixRlimitType::RlimitNproc),
        "rss" => Some(PosixRlimitType::RlimitRss),
        "rtprio" => Some(PosixRlimitType::RlimitRtprio),
        "rttime" => Some(PosixRlimitType::RlimitRttime),
        "sigpending" => Some(PosixRlimitType::RlimitSigpending),
        "stack" => Some(PosixRlimitType::RlimitStack),
        _ => None,
    };
    ulimits
        .iter()
        .map(|(name, soft, hard)| {
            let kind = kind(name).ok_or_else(|| container::Error::InvalidOption {
                option: "ulimit",
                value: name.clone(),
                reason: "no such limit".to_owned(),
            })?;
            PosixRlimitBuilder::default()
                .typ(kind)
                .soft(*soft)
                .hard(*hard)
                .build()
                .map_err(|error| container::Error::InvalidOption {
                    option: "ulimit",
                    value: name.clone(),
                    reason: error.to_string(),
                })
        })
        .collect()
}

fn class_of(error: &container::Error) -> ErrorClass {
    match error {
        container::Error::CannotEmulate { .. } => ErrorClass::Unavailable,
        other => class(other.class()),
    }
}
