//! Forwarding between the host's interfaces, without which no container reaches beyond its bridge.

use crate::error::Error;
use crate::subnet::Family;
use crate::sysctl::{self, Change};

/// Whether the host already forwarded packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// It did, or the kernel lacks the family altogether.
    WasOn,
    /// It does now, because Ferry turned it on.
    TurnedOn,
}

/// Turns forwarding on in the calling thread's network namespace, and says so in the log if it was off.
pub(crate) fn ensure(family: Family) -> Result<Forwarding, Error> {
    let setting = match family {
        Family::V4 => "ipv4/ip_forward",
        Family::V6 => "ipv6/conf/all/forwarding",
    };
    match sysctl::ensure(setting, "1")? {
        Change::None | Change::Unknown => Ok(Forwarding::WasOn),
        Change::Written => {
            tracing::info!(%family, setting = %format_args!("net/{setting}"), "forwarding was off and has been turned on for containers");
            Ok(Forwarding::TurnedOn)
        }
    }
}
