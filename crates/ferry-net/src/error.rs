//! What can go wrong between Ferry and the kernel's network, with the facts.

use std::fmt;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::link_name::LinkName;

/// What was being done when the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's words are in its Display")]
pub enum Operation {
    OpenNetlink,
    SendNetlink,
    ReceiveNetlink,
    EnterNamespace,
    StartThread,
    FindLink,
    CreateBridge,
    ChangeBridge,
    CreateVeth,
    RaiseLink,
    DeleteLink,
    AddAddress,
    RemoveAddress,
    ListAddresses,
    AddRoute,
    ListRoutes,
    ReplaceFirewallTable,
    RemoveFirewallTable,
    ListFirewall,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenNetlink => "open netlink socket",
            Self::SendNetlink => "send to netlink socket",
            Self::ReceiveNetlink => "receive from netlink socket",
            Self::EnterNamespace => "enter network namespace",
            Self::StartThread => "start thread",
            Self::FindLink => "find interface",
            Self::CreateBridge => "create bridge",
            Self::ChangeBridge => "change bridge",
            Self::CreateVeth => "create veth pair",
            Self::RaiseLink => "bring up interface",
            Self::DeleteLink => "delete interface",
            Self::AddAddress => "add address",
            Self::RemoveAddress => "remove address",
            Self::ListAddresses => "list addresses",
            Self::AddRoute => "add route",
            Self::ListRoutes => "list routes",
            Self::ReplaceFirewallTable => "replace nftables table",
            Self::RemoveFirewallTable => "remove nftables table",
            Self::ListFirewall => "list nftables",
        })
    }
}

/// A failure of this crate's kernel side; the pure parts ([`crate::ipam`], names, subnets) have enums of their own.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error("cannot {operation} {object}: {errno}{}", Explanation(explanation))]
    Kernel {
        /// What was tried.
        operation: Operation,
        /// On what: an interface, an address, a table.
        object: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's own words, where it gave any (NLMSGERR_ATTR_MSG).
        explanation: Option<String>,
    },
    /// A setting below `/proc/sys/net` could not be written.
    #[error("cannot write {value} to {}: {errno}", path.display())]
    Sysctl {
        /// The file.
        path: PathBuf,
        /// What was to be written.
        value: &'static str,
        /// The error number of the open or the write.
        errno: Errno,
    },
    /// The kernel's answer ended early or contradicts itself.
    #[error("cannot {operation} {object}: the kernel's answer is malformed: {defect}")]
    Malformed {
        /// What was tried.
        operation: Operation,
        /// On what.
        object: String,
        /// What is wrong with the answer.
        defect: &'static str,
    },
    /// A listing changed while it was read, several times in a row.
    #[error("cannot {operation} {object}: it changed during each of {attempts} attempts")]
    Unsteady {
        /// What was tried.
        operation: Operation,
        /// On what.
        object: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The bridge's name belongs to an interface of another kind.
    #[error("interface {name} exists and is not a bridge")]
    NotABridge {
        /// The name that is taken.
        name: LinkName,
    },
}

impl Error {
    /// The error number, if the kernel gave one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } | Self::Sysctl { errno, .. } => Some(*errno),
            Self::Malformed { .. } | Self::Unsteady { .. } | Self::NotABridge { .. } => None,
        }
    }

    pub(crate) fn kernel(operation: Operation, object: impl Into<String>, errno: Errno) -> Self {
        Self::Kernel {
            operation,
            object: object.into(),
            errno,
            explanation: None,
        }
    }
}

struct Explanation<'a>(&'a Option<String>);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |words| write!(f, " ({words})"))
    }
}
