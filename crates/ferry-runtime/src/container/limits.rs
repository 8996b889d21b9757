//! Resource limits of a process, clamped to what may be given.

use oci_spec::runtime::{PosixRlimit, PosixRlimitType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Fault, Warning};

/// A limit that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    name: &'static str,
    resource: Resource,
    value: Rlimit,
}

/// No limit, as the runtime spec writes it.
const UNLIMITED: u64 = u64::MAX;

/// Sorts out what can be given: without CAP_SYS_RESOURCE no hard limit above the caller's own.
/// Source: getrlimit(2).
pub(crate) fn clamp(asked: &[PosixRlimit]) -> (Vec<Limit>, Vec<Warning>) {
    let may_raise = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE));
    let mut warnings = Vec::new();
    let mut limits = Vec::new();
    for limit in asked {
        let (name, resource) = resource(limit.typ());
        let most = if may_raise { None } else { getrlimit(resource).maximum };
        let (value, clamped) = clamp_one(limit.soft(), limit.hard(), most);
        if let Some(given) = clamped {
            warnings.push(Warning::RlimitClamped {
                name: name.to_owned(),
                asked: limit.hard(),
                given,
            });
        }
        limits.push(Limit { name, resource, value });
    }
    (limits, warnings)
}

/// Gives the limits to the calling process.
pub(crate) fn apply(limits: &[Limit]) -> Result<(), Fault> {
    for limit in limits {
        setrlimit(limit.resource, limit.value).map_err(|errno| Fault::Rlimit {
            name: limit.name.to_owned(),
            errno: errno.into(),
        })?;
    }
    Ok(())
}

/// Raises hard limits while the caller may: in a user namespace nobody may any more. Soft limits stay
/// until [`apply`], for they could be in the way until then. Source: getrlimit(2), capabilities(7).
pub(crate) fn raise(limits: &[Limit]) -> Result<(), Fault> {
    for limit in limits {
        let now = getrlimit(limit.resource);
        let is_higher = match (limit.value.maximum, now.maximum) {
            (Some(wanted), Some(now)) => wanted > now,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if is_higher {
            let raised = Rlimit {
                current: now.current,
                maximum: limit.value.maximum,
            };
            setrlimit(limit.resource, raised).map_err(|errno| Fault::Rlimit {
                name: limit.name.to_owned(),
                errno: errno.into(),
            })?;
        }
    }
    Ok(())
}

fn clamp_one(soft: u64, hard: u64, most: Option<u64>) -> (Rlimit, Option<u64>) {
    let given = most.map_or(hard, |most| hard.min(most));
    let finite = |value: u64| (value != UNLIMITED).then_some(value);
    let value = Rlimit {
        current: finite(soft.min(given)),
        maximum: finite(given),
    };
    (value, (given != hard).then_some(given))
}

fn resource(kind: PosixRlimitType) -> (&'static str, Resource) {
    use PosixRlimitType as T;
    match kind {
        T::RlimitCpu => ("RLIMIT_CPU", Resource::Cpu),
        T::RlimitFsize => ("RLIMIT_FSIZE", Resource::Fsize),
        T::RlimitData => ("RLIMIT_DATA", Resource::Data),
        T::RlimitStack => ("RLIMIT_STACK", Resource::Stack),
        T::RlimitCore => ("RLIMIT_CORE", Resource::Core),
        T::RlimitRss => ("RLIMIT_RSS", Resource::Rss),
        T::RlimitNproc => ("RLIMIT_NPROC", Resource::Nproc),
        T::RlimitNofile => ("RLIMIT_NOFILE", Resource::Nofile),
        T::RlimitMemlock => ("RLIMIT_MEMLOCK", Resource::Memlock),
        T::RlimitAs => ("RLIMIT_AS", Resource::As),
        T::RlimitLocks => ("RLIMIT_LOCKS", Resource::Locks),
        T::RlimitSigpending => ("RLIMIT_SIGPENDING", Resource::Sigpending),
        T::RlimitMsgqueue => ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
        T::RlimitNice => ("RLIMIT_NICE", Resource::Nice),
        T::RlimitRtprio => ("RLIMIT_RTPRIO", Resource::Rtprio),
        T::RlimitRttime => ("RLIMIT_RTTIME", Resource::Rttime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: (u64, u64), most: Option<u64>, want: (Option<u64>, Option<u64>), told: Option<u64>) {
        let (value, clamped) = clamp_one(asked.0, asked.1, most);
        assert_eq!((value.current, value.maximum), want);
        assert_eq!(clamped, told);
    }

    #[test]
    fn limits_are_clamped_and_told() {
        check((1024, 524_288), Some(20_000), (Some(1024), Some(20_000)), Some(20_000));
        check(
            (30_000, 40_000),
            Some(20_000),
            (Some(20_000), Some(20_000)),
            Some(20_000),
        );
        check((UNLIMITED, UNLIMITED), None, (None, None), None);
        check((UNLIMITED, UNLIMITED), Some(5), (Some(5), Some(5)), Some(5));
        check((1, 2), Some(5), (Some(1), Some(2)), None);
    }
}
