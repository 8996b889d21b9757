//! The one table of CPUs: their OCI names, ELF identity, emulator, Debian and `uname` names.
//!
//! A new CPU is a new row of [`ALL`]; nothing else in Ferry names one.

use crate::Platform;

/// A CPU that Ferry knows how to run, natively or emulated.
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu {
    /// OCI `architecture` (Go's GOARCH).
    pub architecture: &'static str,
    /// OCI `variant` of images for it, where they carry one.
    pub variant: Option<&'static str>,
    /// `e_machine` of its executables. Source: `elf.h`.
    pub elf_machine: u16,
    /// 32 or 64 bits.
    pub elf_class: ElfClass,
    /// Byte order.
    pub endianness: Endianness,
    /// What readelf calls the machine; for messages.
    pub machine_name: &'static str,
    /// The suffix of QEMU's user-mode emulator: `aarch64` in `qemu-aarch64`.
    pub qemu: &'static str,
    /// A fast CPU model for QEMU before 8.1, whose default is slow for this CPU.
    pub qemu_cpu: Option<&'static str>,
    /// Debian's name of the architecture.
    pub debian: &'static str,
    /// What `uname -m` prints on it.
    pub uname: &'static str,
}

/// Word size of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ElfClass {
    Elf32 = 1,
    Elf64 = 2,
}

/// Byte order of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Endianness {
    Little = 1,
    Big = 2,
}

/// How much of an ELF header tells the CPU apart: up to and with `e_machine`.
pub const ELF_IDENTITY_LEN: usize = 20;

const LITTLE_64: (ElfClass, Endianness) = (ElfClass::Elf64, Endianness::Little);
const LITTLE_32: (ElfClass, Endianness) = (ElfClass::Elf32, Endianness::Little);
const BIG_64: (ElfClass, Endianness) = (ElfClass::Elf64, Endianness::Big);

/// Every CPU that Ferry knows, in the order in which it lists them.
pub const ALL: &[Cpu] = &[
    cpu(
        ("amd64", None),
        (62, LITTLE_64, "x86-64"),
        ("x86_64", None),
        "amd64",
        "x86_64",
    ),
    cpu(
        ("arm64", None),
        (183, LITTLE_64, "AArch64"),
        ("aarch64", Some("cortex-a57")),
        "arm64",
        "aarch64",
    ),
    cpu(
        ("arm", Some("v7")),
        (40, LITTLE_32, "ARM"),
        ("arm", None),
        "armhf",
        "armv7l",
    ),
    cpu(
        ("386", None),
        (3, LITTLE_32, "Intel 80386"),
        ("i386", None),
        "i386",
        "i686",
    ),
    cpu(
        ("riscv64", None),
        (243, LITTLE_64, "RISC-V"),
        ("riscv64", None),
        "riscv64",
        "riscv64",
    ),
    cpu(
        ("s390x", None),
        (22, BIG_64, "IBM S/390"),
        ("s390x", None),
        "s390x",
        "s390x",
    ),
    cpu(
        ("ppc64le", None),
        (21, LITTLE_64, "PowerPC64"),
        ("ppc64le", None),
        "ppc64el",
        "ppc64le",
    ),
];

const fn cpu(
    (architecture, variant): (&'static str, Option<&'static str>),
    (elf_machine, (elf_class, endianness), machine_name): (u16, (ElfClass, Endianness), &'static str),
    (qemu, qemu_cpu): (&'static str, Option<&'static str>),
    debian: &'static str,
    uname: &'static str,
) -> Cpu {
    Cpu {
        architecture,
        variant,
        elf_machine,
        elf_class,
        endianness,
        machine_name,
        qemu,
        qemu_cpu,
        debian,
        uname,
    }
}

impl Cpu {
    /// The CPU that runs images of `platform`; variants of one architecture share a row.
    pub fn of(platform: &Platform) -> Option<&'static Self> {
        Self::named(&platform.architecture)
    }

    /// The CPU with this OCI `architecture`.
    pub fn named(architecture: &str) -> Option<&'static Self> {
        ALL.iter().find(|cpu| cpu.architecture == architecture)
    }

    /// The CPU that the executable beginning with `header` is made for; `None` when it is no ELF
    /// file, is too short, or is for a CPU that Ferry does not know.
    pub fn of_elf(header: &[u8]) -> Option<&'static Self> {
        let header = header.get(..ELF_IDENTITY_LEN)?;
        ALL.iter().find(|cpu| {
            let (magic, mask) = (cpu.binfmt_magic(), cpu.binfmt_mask());
            header
                .iter()
                .zip(magic.iter().zip(&mask))
                .all(|(byte, (magic, mask))| byte & mask == magic & mask)
        })
    }

    /// The CPU that this program was compiled for.
    pub fn host() -> &'static Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self::named(architecture).expect("Ferry is built for CPUs of its own table only")
    }

    /// The platform of images for this CPU.
    pub fn platform(&self) -> Platform {
        Platform {
            os: "linux".to_owned(),
            architecture: self.architecture.to_owned(),
            variant: self.variant.map(str::to_owned),
            os_version: None,
            os_features: Vec::new(),
        }
    }

    /// The bytes that its executables begin with, for binfmt_misc's `magic`.
    pub const fn binfmt_magic(&self) -> [u8; ELF_IDENTITY_LEN] {
        let mut magic = [0; ELF_IDENTITY_LEN];
        magic[0] = 0x7f;
        magic[1] = b'E';
        magic[2] = b'L';
        magic[3] = b'F';
        magic[4] = self.elf_class as u8;
        magic[5] = self.endianness as u8;
        magic[6] = 1; // EV_CURRENT
        let machine = match self.endianness {
            Endianness::Little => self.elf_machine.to_le_bytes(),
            Endianness::Big => self.elf_machine.to_be_bytes(),
        };
        magic[self.type_low_byte()] = 2; // ET_EXEC; the mask lets ET_DYN (3) pass too
        magic[18] = machine[0];
        magic[19] = machine[1];
        magic
    }

    /// Which bits of [`Self::binfmt_magic`] count: not the OS ABI, nor whether the file is
    /// position-independent.
    pub const fn binfmt_mask(&self) -> [u8; ELF_IDENTITY_LEN] {
        let mut mask = [0xff; ELF_IDENTITY_LEN];
        mask[7] = 0;
        mask[self.type_low_byte()] = 0xfe;
        mask
    }

    const fn type_low_byte(&self) -> usize {
        match self.endianness {
            Endianness::Little => 16,
            Endianness::Big => 17,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_for_the_host() {
        let exe = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(Cpu::of_elf(&exe), Some(Cpu::host()));
    }

    #[test]
    fn each_magic_names_its_own_cpu_only() {
        for cpu in ALL {
            let mut header = cpu.binfmt_magic();
            header[7] = 3; // GNU/Linux ABI
            header[cpu.type_low_byte()] = 3; // ET_DYN
            assert_eq!(Cpu::of_elf(&header), Some(cpu));
        }
        assert_eq!(Cpu::of_elf(b"#!/bin/sh and more than that"), None);
        assert_eq!(Cpu::of_elf(b"\x7fELF"), None);
    }
}
