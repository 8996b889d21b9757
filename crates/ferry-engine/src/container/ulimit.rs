//! Limits of a single process: `--ulimit`.

use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType};
use serde::{Deserialize, Serialize};

/// A limit of each process of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// The name that people know, such as `nofile`.
    pub name: String,
    /// What a process has.
    pub soft: RlimitValue,
    /// What it may raise that to.
    pub hard: RlimitValue,
}

/// A value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RlimitValue {
    /// At most this.
    AtMost(u64),
    /// No limit.
    Unlimited,
}

/// Names that people know, and the kernel's. Source: setrlimit(2), docker/go-units `ulimit.go`.
const NAMES: &[(&str, PosixRlimitType)] = &[
    ("as", PosixRlimitType::RlimitAs),
    ("core", PosixRlimitType::RlimitCore),
    ("cpu", PosixRlimitType::RlimitCpu),
    ("data", PosixRlimitType::RlimitData),
    ("fsize", PosixRlimitType::RlimitFsize),
    ("locks", PosixRlimitType::RlimitLocks),
    ("memlock", PosixRlimitType::RlimitMemlock),
    ("msgqueue", PosixRlimitType::RlimitMsgqueue),
    ("nice", PosixRlimitType::RlimitNice),
    ("nofile", PosixRlimitType::RlimitNofile),
    ("nproc", PosixRlimitType::RlimitNproc),
    ("rss", PosixRlimitType::RlimitRss),
    ("rtprio", PosixRlimitType::RlimitRtprio),
    ("rttime", PosixRlimitType::RlimitRttime),
    ("sigpending", PosixRlimitType::RlimitSigpending),
    ("stack", PosixRlimitType::RlimitStack),
];

impl Ulimit {
    /// Why it cannot be, in Docker's words.
    pub(super) fn fault(&self) -> Option<String> {
        if self.kind().is_none() {
            return Some(format!("invalid ulimit type: {}", self.name));
        }
        (self.soft > self.hard).then(|| "ulimit soft limit must be less than or equal to hard limit".to_owned())
    }

    /// What is lowered because the engine may not give more.
    pub(super) fn warnings(asked: &[Ulimit]) -> Vec<String> {
        let limits: Vec<PosixRlimit> = asked.iter().filter_map(Self::to_oci).collect();
        let clamped = ferry_runtime::clamped_limits(&limits);
        clamped.iter().map(ToString::to_string).collect()
    }

    fn kind(&self) -> Option<PosixRlimitType> {
        NAMES.iter().find(|(name, _)| *name == self.name).map(|(_, kind)| *kind)
    }

    fn to_oci(&self) -> Option<PosixRlimit> {
        let value = |value| match value {
            RlimitValue::AtMost(value) => value,
            RlimitValue::Unlimited => u64::MAX,
        };
        let limit = PosixRlimitBuilder::default()
            .typ(self.kind()?)
            .soft(value(self.soft))
            .hard(value(self.hard))
            .build();
        Some(limit.expect("the builder has a default for every field"))
    }
}

/// The profile's limits with those of a person in their place.
pub(super) fn merge(profile: &[PosixRlimit], asked: &[Ulimit]) -> Vec<PosixRlimit> {
    let mut limits: Vec<PosixRlimit> = profile.to_vec();
    for limit in asked.iter().filter_map(Ulimit::to_oci) {
        limits.retain(|known| known.typ() != limit.typ());
        limits.push(limit);
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulimit(name: &str, soft: u64, hard: RlimitValue) -> Ulimit {
        Ulimit {
            name: name.to_owned(),
            soft: RlimitValue::AtMost(soft),
            hard,
        }
    }

    #[test]
    fn limits_are_checked_and_take_the_profile_s_place() {
        assert_eq!(ulimit("nofile", 1, RlimitValue::Unlimited).fault(), None);
        assert_eq!(ulimit("nofile", 2, RlimitValue::AtMost(2)).fault(), None);
        assert!(ulimit("nofile", 3, RlimitValue::AtMost(2)).fault().is_some());
        assert_eq!(
            ulimit("files", 1, RlimitValue::AtMost(2)).fault().as_deref(),
            Some("invalid ulimit type: files")
        );
        let profile = merge(&[], &[ulimit("nofile", 1, RlimitValue::AtMost(1))]);
        let asked = [
            ulimit("core", 0, RlimitValue::AtMost(0)),
            ulimit("nofile", 5, RlimitValue::Unlimited),
        ];
        let merged = merge(&profile, &asked);
        assert_eq!(merged.len(), 2);
        assert_eq!((merged[1].soft(), merged[1].hard()), (5, u64::MAX));
    }
}
