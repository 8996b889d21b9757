//! What each CPU of the table needs on this host.

use std::fmt;
use std::path::PathBuf;

use ferry_oci::cpu::Cpu;

use super::{Interpreter, Refusal, Registration};

/// Debian packages that hold static emulators: since Debian 13, and before.
pub const PACKAGES: &[&str] = &["qemu-user", "qemu-user-static"];

/// The answer for every CPU of `ferry_oci::cpu::ALL`, in the table's order.
#[derive(Debug, Clone)]
pub struct Emulators {
    pub(super) entries: Vec<Entry>,
}

/// One CPU and how its programs run here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The CPU.
    pub cpu: &'static Cpu,
    /// How a program of this CPU runs here.
    pub support: Support,
    /// A registration in the host's own `binfmt_misc`: what is left where a namespace of our own
    /// cannot be made.
    pub registered: Option<Registration>,
    /// Emulator files that were found and not taken.
    pub refused: Vec<Refusal>,
}

/// How programs of a CPU run on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// The host's CPU and kernel execute them; a real program was run to know.
    Native,
    /// Through this emulator, in a [`super::Namespace`].
    Emulated(Emulator),
    /// Only through an interpreter that the host has registered for everybody, and therefore only
    /// outside a [`super::Namespace`], which would hide it.
    GloballyRegistered(Registration),
    /// Not at all, although there is this emulator: before Linux 6.7, or where user namespaces are
    /// forbidden, only the host can register it, for everybody.
    Unregistered {
        /// The emulator.
        emulator: Emulator,
        /// Why the engine cannot bring it into a container, and the remedy.
        reason: String,
    },
    /// Not at all: one of these Debian packages would help.
    Missing {
        /// Package names, the better one first.
        packages: &'static [&'static str],
    },
}

/// A statically linked user-mode emulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emulator {
    /// Where it lies on the host. Containers never execute this file, but a sealed copy.
    pub path: PathBuf,
    /// What it calls itself; `None` when it did not say.
    pub version: Option<Version>,
    /// Value for `QEMU_CPU` in the container's environment, when this version's default model is
    /// slow. There is no other way to say it: `binfmt_misc` passes no options.
    pub qemu_cpu: Option<&'static str>,
}

/// An emulator's version, such as 10.0.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl Version {
    /// From here on QEMU's own choice of a CPU model is fast: pointer authentication by QARMA5,
    /// which took twenty times as long, gave way to QARMA3.
    const FAST_DEFAULT: Version = Version {
        major: 8,
        minor: 1,
        patch: 0,
    };

    /// Finds the first `N.N` or `N.N.N` after the word `version`.
    #[must_use]
    pub fn find(text: &str) -> Option<Version> {
        let (_, rest) = text.split_once("version ")?;
        let numbers = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = numbers.split('.').map(str::parse);
        let mut part = || parts.next().and_then(Result::ok);
        Some(Version {
            major: part()?,
            minor: part()?,
            patch: part().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Emulator {
    /// An emulator for `cpu` that calls itself `version`.
    #[must_use]
    pub fn new(cpu: &Cpu, path: PathBuf, version: Option<Version>) -> Emulator {
        let slow = version.is_some_and(|version| version < Version::FAST_DEFAULT);
        Emulator {
            path,
            version,
            qemu_cpu: cpu.qemu_cpu.filter(|_| slow),
        }
    }
}

impl Emulators {
    /// Every CPU with its answer, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The answer for one CPU.
    #[must_use]
    pub fn of(&self, cpu: &Cpu) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.cpu == cpu)
    }

    /// What a [`super::Namespace`] registers: every CPU that is [`Support::Emulated`], since a
    /// container may execute programs of any of them.
    #[must_use]
    pub fn interpreters(&self) -> Vec<Interpreter> {
        self.entries
            .iter()
            .filter_map(|entry| match &entry.support {
                Support::Emulated(emulator) => Some(Interpreter::new(entry.cpu, emulator.path.clone())),
                _ => None,
            })
            .collect()
    }
}
