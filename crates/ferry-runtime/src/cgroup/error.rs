//! What can go wrong with control groups, each with the file it happened on.

use std::path::PathBuf;

use rustix::io::Errno;

/// A control group operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No control group file system is mounted.
    #[error("no cgroup file system is mounted (neither version 1 nor version 2)")]
    NotMounted,
    /// A name that could leave the delegated parent or collide with the kernel's files.
    #[error("invalid cgroup name {name:?}: {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit needs a controller that this host does not offer.
    #[error("{field} needs the {controller} cgroup controller, which this host does not offer")]
    NoController {
        /// The OCI field, such as `memory.limit`.
        field: &'static str,
        /// The kernel's name of the controller.
        controller: &'static str,
    },
    /// A limit that this cgroup version cannot express.
    #[error("{field} cannot be set on cgroup version {version}")]
    NotOnThisVersion {
        /// The OCI field.
        field: &'static str,
        /// 1 or 2.
        version: u8,
    },
    /// A limit that makes no sense anywhere.
    #[error("invalid {field} {value:?}: {reason}")]
    InvalidValue {
        /// The OCI field.
        field: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The kernel refused a limit.
    #[error("set {field} to {value}: {path}: {errno}", path = path.display())]
    Limit {
        /// The OCI field.
        field: &'static str,
        /// The value in the kernel's form.
        value: String,
        /// The file in the cgroup file system.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A new memory limit lies below what is in use.
    #[error("memory limit {limit} is below the {usage} bytes in use")]
    BelowUsage {
        /// The limit asked for, in bytes.
        limit: u64,
        /// In use now, in bytes.
        usage: u64,
    },
    /// The kernel refused an operation on a file.
    #[error("{operation} {path}: {errno}", path = path.display())]
    File {
        /// The verb, such as `write "max" to`.
        operation: String,
        /// The file in the cgroup file system.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A file of the kernel has a content that is not understood.
    #[error("{path} has unexpected content {content:?}", path = path.display())]
    Content {
        /// The file in the cgroup file system.
        path: PathBuf,
        /// The offending part.
        content: String,
    },
    /// Version 2 hands controllers on only from groups without processes of their own.
    #[error(
        "cgroup {path} holds processes, so that its controllers cannot be handed on; \
         move them into a group below it",
        path = path.display()
    )]
    HoldsProcesses {
        /// The group.
        path: PathBuf,
    },
    /// Processes were still there after the bounded number of attempts.
    #[error("cgroup {path} still has processes after {attempts} attempts", path = path.display())]
    StillBusy {
        /// The group.
        path: PathBuf,
        /// How often it was tried.
        attempts: u32,
    },
    /// The device rules could not be put in force.
    #[error(transparent)]
    Device(#[from] crate::device::Error),
}
