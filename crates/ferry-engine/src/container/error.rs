//! What can go wrong with a container or an exec. Scripts match on some of these words: they are Docker's.

use std::path::PathBuf;

use rustix::io::Errno;

use super::{ChangeError, LimitError};
use crate::error::Class;
use crate::{image, network};

/// An error of a container or an exec.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has this name or id.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// No exec has this id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// Several ids begin so.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousId(String),
    /// The name does not follow the rules.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// Another container has the name.
    #[error(
        "Conflict. The container name {name:?} is already in use by container {holder:?}. You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name, with the slash that Docker shows.
        name: String,
        /// Id of the container that has it.
        holder: String,
    },
    /// The container would have nothing to run.
    #[error("no command specified")]
    NoCommand,
    /// An option has a value that cannot be.
    #[error("invalid {option} {value:?}: {reason}")]
    InvalidOption {
        /// The option, in the API's words.
        option: &'static str,
        /// What was given.
        value: String,
        /// Why it cannot be.
        reason: String,
    },
    /// A limit that cannot be.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A limit that does not go with those that the container has.
    #[error("Cannot update container {id}: {source}")]
    CannotUpdate {
        /// The container.
        id: String,
        /// Why.
        source: ChangeError,
    },
    /// The kernel does not let the limits of a running container be changed so.
    #[error("Cannot update container {id}: {source}")]
    UpdateRefused {
        /// The container.
        id: String,
        /// Why.
        source: ferry_runtime::Error,
    },
    /// A kernel parameter that is no container's.
    #[error(transparent)]
    Sysctl(#[from] ferry_runtime::profile::SysctlError),
    /// A kernel parameter of the network that the host uses.
    #[error("sysctl {0:?} not allowed in host network namespace")]
    SysctlOfHostNetwork(String),
    /// A health check that cannot be.
    #[error("{0}")]
    Healthcheck(String),
    /// A filter of system calls that cannot be read.
    #[error(transparent)]
    Profile(#[from] ferry_runtime::seccomp::ProfileError),
    /// A filter of system calls that the kernel would not take.
    #[error(transparent)]
    Filter(#[from] ferry_runtime::seccomp::CompileError),
    /// A limit of a process that cannot be.
    #[error("{0}")]
    Ulimit(String),
    /// A device of the host that is not there, or is none.
    #[error("error gathering device information while adding custom device {:?}: {source}", path.display().to_string())]
    Device {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A name for a host that is not the container's.
    #[error("conflicting options: hostname and the UTS mode")]
    HostnameOfHost,
    /// Options that make no sense with another container's network.
    #[error("conflicting options: {0} and the network mode")]
    NetworkConflict(&'static str),
    /// A container whose network is to be joined does not run.
    #[error("cannot join network of a non running container: {0}")]
    NetworkOfIdle(String),
    /// Another container's namespace cannot be joined.
    #[error("failed to join {kind} namespace: {source}")]
    CannotJoin {
        /// PID or IPC
        kind: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// The shared memory of a container is its own.
    #[error("container {0}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")]
    NotShareable(String),
    /// The preference of being killed is out of range.
    #[error("Invalid value {0}, range for oom score adj is [-1000, 1000]")]
    OomScoreAdj(i32),
    /// A bind mount's source is not there.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {}", .0.display())]
    NoSuchBindSource(PathBuf),
    /// Nothing runs in the container.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// Something runs in the container.
    #[error("cannot remove container {0:?}: container is running: stop the container before removing or force remove")]
    Running(String),
    /// Nothing runs in the container at this moment.
    #[error("Container {0} is restarting, wait until the container is running")]
    Restarting(String),
    /// It is about to run again, and to be removed without force.
    #[error(
        "cannot remove container {0:?}: container is restarting: stop the container before removing or force remove"
    )]
    RemovedRestarting(String),
    /// It is to be removed when it ends, and to be started again.
    #[error("can't create 'AutoRemove' container with restart policy")]
    RestartsAndRemoves,
    /// Its processes are frozen, and what was asked for needs them.
    #[error("container {id} is paused, unpause the container before {wanted}")]
    Paused {
        /// The container.
        id: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// It is frozen, and to be removed without force.
    #[error("cannot remove container {0:?}: container is paused and must be unpaused first")]
    RemovedPaused(String),
    /// It is frozen, and to be started.
    #[error("cannot start a paused container, try unpause instead")]
    StartedPaused,
    /// It is frozen, and to be frozen.
    #[error("Container {0} is already paused")]
    AlreadyPaused(String),
    /// It is not frozen, and to be thawed.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// Another caller removes the container right now.
    #[error("removal of container {0} is already in progress")]
    BeingRemoved(String),
    /// The exec has been started before.
    #[error("exec {0} has already been started")]
    ExecAlreadyStarted(String),
    /// No such signal.
    #[error("Invalid signal: {0}")]
    InvalidSignal(String),
    /// The command is not there or cannot be executed.
    #[error("failed to create task for container: {0}")]
    Start(#[from] ferry_runtime::StartError),
    /// The container's log is not kept.
    #[error("configured logging driver does not support reading")]
    NoLog,
    /// Emulation cannot be had.
    #[error("cannot run an image for {platform} here: {reason}")]
    CannotEmulate {
        /// The image's platform.
        platform: String,
        /// Why, and the remedy.
        reason: String,
    },
    /// Nothing is there in the container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchPath {
        /// The path.
        path: String,
        /// The container as it was named.
        container: String,
    },
    /// What is there in the container cannot be used.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An archive is to be unpacked where no directory is.
    #[error("extraction point is not a directory")]
    ExtractionPoint,
    /// Something is to be written to a container's root that cannot be.
    #[error("container rootfs is marked read-only")]
    ReadOnlyRoot,
    /// Something is to be written to a mount that cannot be.
    #[error("mounted volume is marked read-only")]
    ReadOnlyVolume,
    /// An archive that is put into a container cannot be unpacked.
    #[error(transparent)]
    Extract(ferry_store::Error),
    /// A file of the container's own cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Of the image.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Of the network.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
    /// Of the runtime.
    #[error(transparent)]
    Runtime(#[from] ferry_runtime::Error),
    /// A thread of the engine was lost.
    #[error("internal error: the operation was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::NoSuchContainer(_) | Self::NoSuchExec(_) | Self::NoSuchPath { .. } => Class::NotFound,
            Self::NameInUse { .. }
            | Self::CannotUpdate { .. }
            | Self::NotRunning(_)
            | Self::Running(_)
            | Self::Restarting(_)
            | Self::RemovedRestarting(_)
            | Self::Paused { .. }
            | Self::RemovedPaused(_)
            | Self::StartedPaused
            | Self::AlreadyPaused(_)
            | Self::NotPaused(_)
            | Self::BeingRemoved(_)
            | Self::NetworkOfIdle(_)
            | Self::ExecAlreadyStarted(_) => Class::Conflict,
            Self::CannotJoin { source, .. } => source.class(),
            Self::AmbiguousId(_)
            | Self::InvalidName(_)
            | Self::NoCommand
            | Self::InvalidOption { .. }
            | Self::Limit(_)
            | Self::Sysctl(_)
            | Self::SysctlOfHostNetwork(_)
            | Self::Ulimit(_)
            | Self::Healthcheck(_)
            | Self::Profile(_)
            | Self::Filter(_)
            | Self::OomScoreAdj(_)
            | Self::Device { .. }
            | Self::HostnameOfHost
            | Self::RestartsAndRemoves
            | Self::NetworkConflict(_)
            | Self::NotShareable(_)
            | Self::NoSuchBindSource(_)
            | Self::InvalidSignal(_)
            | Self::CannotEmulate { .. }
            | Self::ExtractionPoint
            | Self::ReadOnlyRoot
            | Self::ReadOnlyVolume
            | Self::Start(_) => Class::Invalid,
            Self::Extract(error) => class_of_extract(error),
            Self::Path { source, .. } => match Errno::from_io_error(source) {
                Some(Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Class::Invalid,
                _ => Class::Internal,
            },
            Self::NoLog => Class::NotImplemented,
            Self::Image(error) => error.class(),
            Self::Network(error) => error.class(),
            Self::File { .. }
            | Self::UpdateRefused { .. }
            | Self::Store(_)
            | Self::Runtime(_)
            | Self::Interrupted(_) => Class::Internal,
        }
    }
}

/// What is wrong with an archive is its sender's affair, what the kernel refuses is not.
fn class_of_extract(error: &ferry_store::Error) -> Class {
    use ferry_store::{EntryError, Error};
    match error {
        Error::Entry {
            reason: EntryError::Kernel { .. } | EntryError::Attribute { .. },
            ..
        } => Class::Internal,
        Error::Overwrite { .. }
        | Error::Entry { .. }
        | Error::Tar(_)
        | Error::Compression { .. }
        | Error::Limit { .. }
        | Error::Input(_) => Class::Invalid,
        _ => Class::Internal,
    }
}
