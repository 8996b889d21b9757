//! Linux capabilities: sets, Docker's default, the words of `--cap-add` and `--cap-drop`, and applying them.
//!
//! A launching process uses the pieces in this order: [`CapabilitySets::drop_bounding`], then
//! [`keep_across_setuid`], then `setgroups`, `setresgid` and `setresuid`, then
//! [`CapabilitySets::apply`]. Source: `capabilities(7)`.

use std::fmt;
use std::sync::LazyLock;

use oci_spec::runtime::LinuxCapabilities;
use rustix::io::Errno;
use rustix::thread;
use serde::{Deserialize, Serialize};

macro_rules! capabilities {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// One capability; its discriminant is the kernel's number. Source: `linux/capability.h`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Capability { $($variant),+ }

        /// Every capability with its name, in the kernel's order.
        const TABLE: &[(Capability, &str)] = &[$((Capability::$variant, $name)),+];
    };
}

capabilities! {
    Chown "CHOWN", DacOverride "DAC_OVERRIDE", DacReadSearch "DAC_READ_SEARCH", Fowner "FOWNER",
    Fsetid "FSETID", Kill "KILL", Setgid "SETGID", Setuid "SETUID", Setpcap "SETPCAP",
    LinuxImmutable "LINUX_IMMUTABLE", NetBindService "NET_BIND_SERVICE",
    NetBroadcast "NET_BROADCAST", NetAdmin "NET_ADMIN", NetRaw "NET_RAW", IpcLock "IPC_LOCK",
    IpcOwner "IPC_OWNER", SysModule "SYS_MODULE", SysRawio "SYS_RAWIO", SysChroot "SYS_CHROOT",
    SysPtrace "SYS_PTRACE", SysPacct "SYS_PACCT", SysAdmin "SYS_ADMIN", SysBoot "SYS_BOOT",
    SysNice "SYS_NICE", SysResource "SYS_RESOURCE", SysTime "SYS_TIME",
    SysTtyConfig "SYS_TTY_CONFIG", Mknod "MKNOD", Lease "LEASE", AuditWrite "AUDIT_WRITE",
    AuditControl "AUDIT_CONTROL", Setfcap "SETFCAP", MacOverride "MAC_OVERRIDE",
    MacAdmin "MAC_ADMIN", Syslog "SYSLOG", WakeAlarm "WAKE_ALARM", BlockSuspend "BLOCK_SUSPEND",
    AuditRead "AUDIT_READ", Perfmon "PERFMON", Bpf "BPF", CheckpointRestore "CHECKPOINT_RESTORE",
}

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapabilitySet(u64);

/// What a container's process holds of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CapabilitySets {
    /// The most that any program it executes can get.
    pub bounding: CapabilitySet,
    /// What it may use.
    pub permitted: CapabilitySet,
    /// What it uses.
    pub effective: CapabilitySet,
    /// What programs with file capabilities keep; empty in every profile of ours.
    pub inheritable: CapabilitySet,
    /// What programs without file capabilities keep; empty in every profile of ours.
    pub ambient: CapabilitySet,
}

/// A capability request or change that failed. `Display` has Docker's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No capability has this name.
    #[error("unknown capability: {name:?}")]
    Unknown {
        /// The name in upper case with `CAP_`.
        name: String,
    },
    /// The kernel or the engine's own bounding set lacks it.
    #[error("capability not supported by your kernel or not available in the current environment: {name:?}")]
    Unavailable {
        /// The name in upper case with `CAP_`.
        name: String,
    },
    /// The kernel refused a change.
    #[error("{operation}: {errno}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        errno: Errno,
    },
}

impl Capability {
    /// Parses a name in any case, with or without `CAP_`.
    pub fn parse(name: &str) -> Result<Capability, Error> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        TABLE
            .iter()
            .find(|(_, known)| *known == bare)
            .map(|(capability, _)| *capability)
            .ok_or_else(|| Error::Unknown {
                name: format!("CAP_{bare}"),
            })
    }

    /// The name with `CAP_`.
    #[must_use]
    pub fn name(self) -> String {
        format!("CAP_{}", TABLE[self as usize].1)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CAP_{}", TABLE[*self as usize].1)
    }
}

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: CapabilitySet = CapabilitySet(0);
    /// Docker's default fourteen; `CapBnd` of `/proc/<pid>/status` shows a80425fb.
    pub const DEFAULT: CapabilitySet = CapabilitySet(0xa804_25fb);
    /// Everything in the table.
    pub const KNOWN: CapabilitySet = CapabilitySet((1 << TABLE.len()) - 1);

    /// What this process could give away: its own bounding set, as far as the table knows it. Asked once, which is a
    /// system call for each: whoever gives capabilities away keeps his own.
    #[must_use]
    pub fn available() -> CapabilitySet {
        static AVAILABLE: LazyLock<CapabilitySet> = LazyLock::new(|| {
            let is_available = |capability: &Capability| {
                thread::capability_is_in_bounding_set(to_kernel(CapabilitySet::from(*capability))).unwrap_or(false)
            };
            CapabilitySet::KNOWN.iter().filter(is_available).collect()
        });
        *AVAILABLE
    }

    /// Whether it is in the set.
    #[must_use]
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u8) != 0
    }

    /// Those in both.
    #[must_use]
    pub fn intersection(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn union(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 | other.0)
    }

    /// Those in this one alone.
    #[must_use]
    pub fn difference(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit n is capability n, as in `/proc/<pid>/status`.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Its members in the kernel's order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        TABLE
            .iter()
            .map(|(capability, _)| *capability)
            .filter(move |capability| self.contains(*capability))
    }

    /// The shape of the OCI runtime specification.
    #[must_use]
    pub fn to_oci(self) -> oci_spec::runtime::Capabilities {
        self.iter()
            .filter_map(|capability| TABLE[capability as usize].1.parse().ok())
            .collect()
    }

    /// From the shape of the OCI runtime specification.
    #[must_use]
    pub fn from_oci(capabilities: &oci_spec::runtime::Capabilities) -> CapabilitySet {
        capabilities
            .iter()
            .filter_map(|capability| Capability::parse(&capability.to_string()).ok())
            .collect()
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|capability| TABLE[capability as usize].1))
            .finish()
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> CapabilitySet {
        CapabilitySet(
            capabilities
                .into_iter()
                .fold(0, |bits, capability| bits | 1 << capability as u8),
        )
    }
}

impl From<Capability> for CapabilitySet {
    fn from(capability: Capability) -> CapabilitySet {
        CapabilitySet(1 << capability as u8)
    }
}

/// One word of `--cap-add` or `--cap-drop`.
enum Request {
    All,
    One(Capability),
}

/// What a container gets from `basics` with `--cap-add` and `--cap-drop`, in Docker's order:
/// `add ALL` wins over `drop ALL`, drops apply before adds.
///
/// Source: Docker Engine API ContainerCreate `HostConfig.CapAdd` and `CapDrop`.
pub fn resolve<S: AsRef<str>>(
    basics: CapabilitySet,
    adds: &[S],
    drops: &[S],
    available: CapabilitySet,
) -> Result<CapabilitySet, Error> {
    let (drop_all, dropped) = requested(drops, available)?;
    let (add_all, added) = requested(adds, available)?;
    Ok(if add_all {
        available.difference(dropped)
    } else if drop_all {
        added
    } else {
        basics.difference(dropped).union(added)
    })
}

fn requested<S: AsRef<str>>(words: &[S], available: CapabilitySet) -> Result<(bool, CapabilitySet), Error> {
    let mut all = false;
    let mut set = CapabilitySet::EMPTY;
    for word in words {
        match Request::parse(word.as_ref())? {
            Request::All => all = true,
            Request::One(capability) if available.contains(capability) => set = set.union(capability.into()),
            Request::One(capability) => {
                return Err(Error::Unavailable {
                    name: capability.name(),
                });
            }
        }
    }
    Ok((all, set))
}

impl Request {
    fn parse(word: &str) -> Result<Request, Error> {
        if word.eq_ignore_ascii_case("ALL") {
            return Ok(Request::All);
        }
        Capability::parse(word).map(Request::One)
    }
}

impl CapabilitySets {
    /// The sets of a container's process that runs as `uid`: a user other than root has none but
    /// the bounding set.
    #[must_use]
    pub fn for_user(set: CapabilitySet, uid: u32) -> CapabilitySets {
        let held = if uid == 0 { set } else { CapabilitySet::EMPTY };
        CapabilitySets {
            bounding: set,
            permitted: held,
            effective: held,
            ..CapabilitySets::default()
        }
    }

    /// From the OCI runtime specification; what it leaves out is empty.
    #[must_use]
    pub fn from_oci(capabilities: &LinuxCapabilities) -> CapabilitySets {
        let set = |set: &Option<_>| set.as_ref().map(CapabilitySet::from_oci).unwrap_or_default();
        CapabilitySets {
            bounding: set(capabilities.bounding()),
            permitted: set(capabilities.permitted()),
            effective: set(capabilities.effective()),
            inheritable: set(capabilities.inheritable()),
            ambient: set(capabilities.ambient()),
        }
    }

    /// The shape of the OCI runtime specification.
    #[must_use]
    pub fn to_oci(&self) -> LinuxCapabilities {
        let mut capabilities = LinuxCapabilities::default();
        capabilities.set_bounding(Some(self.bounding.to_oci()));
        capabilities.set_permitted(Some(self.permitted.to_oci()));
        capabilities.set_effective(Some(self.effective.to_oci()));
        capabilities.set_inheritable(Some(self.inheritable.to_oci()));
        capabilities.set_ambient(Some(self.ambient.to_oci()));
        capabilities
    }

    /// Takes everything outside `bounding` from the calling thread's bounding set, for ever.
    ///
    /// Needs CAP_SETPCAP, so it comes before the user changes. A capability that the kernel does
    /// not know is skipped.
    pub fn drop_bounding(&self) -> Result<(), Error> {
        for capability in CapabilitySet::KNOWN.difference(self.bounding).iter() {
            match thread::remove_capability_from_bounding_set(to_kernel(capability.into())) {
                Ok(()) | Err(Errno::INVAL) => {}
                Err(errno) => return Err(kernel("drop from the bounding set", errno)),
            }
        }
        Ok(())
    }

    /// Gives the calling thread its permitted, effective, inheritable and ambient sets.
    ///
    /// What the thread does not hold cannot be given and is left out, as a nested engine may hold
    /// less than the profile names.
    pub fn apply(&self) -> Result<(), Error> {
        let held = thread::capabilities(None).map_err(|errno| kernel("read capabilities", errno))?;
        let permitted = to_kernel(self.permitted).intersection(held.permitted);
        let sets = thread::CapabilitySets {
            permitted,
            effective: to_kernel(self.effective).intersection(permitted),
            inheritable: to_kernel(self.inheritable).intersection(permitted),
        };
        thread::set_capabilities(None, sets).map_err(|errno| kernel("set capabilities", errno))?;
        thread::clear_ambient_capability_set().map_err(|errno| kernel("clear ambient capabilities", errno))?;
        for capability in self.ambient.iter() {
            let one = to_kernel(capability.into());
            if sets.inheritable.contains(one) {
                thread::configure_capability_in_ambient_set(one, true)
                    .map_err(|errno| kernel("raise an ambient capability", errno))?;
            }
        }
        Ok(())
    }
}

/// Lets the calling thread keep its permitted set when its uids change from 0; ends at `execve(2)`.
pub fn keep_across_setuid() -> Result<(), Error> {
    thread::set_keep_capabilities(true).map_err(|errno| kernel("keep capabilities across setuid", errno))
}

fn to_kernel(set: CapabilitySet) -> thread::CapabilitySet {
    thread::CapabilitySet::from_bits_retain(set.0)
}

fn kernel(operation: &'static str, errno: Errno) -> Error {
    Error::Kernel { operation, errno }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> CapabilitySet {
        names.iter().map(|name| Capability::parse(name).unwrap()).collect()
    }

    #[test]
    fn the_default_is_dockers() {
        let names = [
            "CHOWN",
            "DAC_OVERRIDE",
            "FSETID",
            "FOWNER",
            "MKNOD",
            "NET_RAW",
            "SETGID",
            "SETUID",
            "SETFCAP",
            "SETPCAP",
            "NET_BIND_SERVICE",
            "SYS_CHROOT",
            "KILL",
            "AUDIT_WRITE",
        ];
        assert_eq!(set(&names), CapabilitySet::DEFAULT);
        assert_eq!(CapabilitySet::DEFAULT.iter().count(), 14);
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (number, (capability, _)) in TABLE.iter().enumerate() {
            assert_eq!(*capability as usize, number);
        }
        assert_eq!(Capability::SysAdmin as u8, 21);
        assert_eq!(Capability::CheckpointRestore as u8, 40);
    }

    #[test]
    fn names_come_in_any_form() {
        for name in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_Net_Admin"] {
            assert_eq!(Capability::parse(name), Ok(Capability::NetAdmin));
        }
        assert_eq!(
            Capability::parse("flying").unwrap_err().to_string(),
            r#"unknown capability: "CAP_FLYING""#
        );
        assert!(Capability::parse("").is_err());
        assert!(Capability::parse("CAP_CAP_CHOWN").is_err());
    }

    #[test]
    fn every_capability_survives_the_oci_shape() {
        assert_eq!(
            CapabilitySet::from_oci(&CapabilitySet::KNOWN.to_oci()),
            CapabilitySet::KNOWN
        );
        assert_eq!(CapabilitySet::KNOWN.iter().count(), 41);
    }

    #[test]
    fn adds_and_drops_resolve_in_dockers_order() {
        let available = CapabilitySet::KNOWN;
        let check = |adds: &[&str], drops: &[&str], expect: CapabilitySet| {
            assert_eq!(
                resolve(CapabilitySet::DEFAULT, adds, drops, available),
                Ok(expect),
                "{adds:?} {drops:?}"
            );
        };
        check(&[], &[], CapabilitySet::DEFAULT);
        check(&["SYS_TIME"], &[], CapabilitySet::DEFAULT.union(set(&["SYS_TIME"])));
        check(&[], &["all"], CapabilitySet::EMPTY);
        check(&["KILL"], &["ALL"], set(&["KILL"]));
        check(&["ALL"], &["KILL"], available.difference(set(&["KILL"])));
        check(&["ALL"], &["ALL"], available);
        check(&["KILL"], &["KILL"], CapabilitySet::DEFAULT);
    }

    #[test]
    fn what_the_engine_lacks_is_refused_by_name() {
        let available = CapabilitySet::KNOWN.difference(set(&["SYS_RESOURCE"]));
        let error = resolve(CapabilitySet::DEFAULT, &["sys_resource"], &[], available).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE""#
        );
    }

    #[test]
    fn a_user_other_than_root_holds_nothing() {
        let sets = CapabilitySets::for_user(CapabilitySet::DEFAULT, 1000);
        assert_eq!(sets.bounding, CapabilitySet::DEFAULT);
        assert!(sets.permitted.is_empty() && sets.effective.is_empty());
        assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());
    }

    #[test]
    fn what_is_available_is_what_the_kernel_shows() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
        let bounding = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(
            CapabilitySet::available().bits(),
            bounding & CapabilitySet::KNOWN.bits()
        );
    }

    #[test]
    fn a_thread_gets_exactly_its_sets() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let sets = CapabilitySets::for_user(CapabilitySet::DEFAULT, 0);
        let status = std::thread::spawn(move || {
            sets.drop_bounding().unwrap();
            keep_across_setuid().unwrap();
            sets.apply().unwrap();
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        })
        .join()
        .unwrap();
        for (field, expect) in [
            ("CapBnd", "00000000a80425fb"),
            ("CapPrm", "00000000a80425fb"),
            ("CapEff", "00000000a80425fb"),
            ("CapInh", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
        ] {
            assert!(status.contains(&format!("{field}:\t{expect}")), "{field} in {status}");
        }
    }
}
