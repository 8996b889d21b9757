//! Why a program of another CPU cannot run here, in words that help.

use std::fmt;

use ferry_oci::cpu::{Cpu, ELF_IDENTITY_LEN};

use super::{Emulators, PACKAGES, Support};

/// A program that cannot run here; `Display` names the machine, the platform and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainForeign {
    /// `e_machine` of the file.
    pub machine: u16,
    /// The CPU, when the table knows the machine.
    pub cpu: Option<&'static Cpu>,
    /// Whether there is an emulator that was not in use where the program was started.
    pub emulator_exists: bool,
}

impl ExplainForeign {
    /// Looks at the beginning of a file that the kernel refused to execute. `None` when it is no ELF
    /// file, or one that the host runs by itself, so that something else is wrong with it.
    #[must_use]
    pub fn of(header: &[u8], emulators: &Emulators) -> Option<ExplainForeign> {
        let machine = machine(header)?;
        let cpu = Cpu::of_elf(header);
        let support = cpu.and_then(|cpu| emulators.of(cpu)).map(|entry| &entry.support);
        match support {
            Some(Support::Native) => None,
            Some(Support::Emulated(_) | Support::GloballyRegistered(_) | Support::Unregistered { .. }) => {
                Some(ExplainForeign {
                    machine,
                    cpu,
                    emulator_exists: true,
                })
            }
            Some(Support::Missing { .. }) | None => Some(ExplainForeign {
                machine,
                cpu,
                emulator_exists: false,
            }),
        }
    }

    /// From what an executing process could tell: only the machine.
    #[must_use]
    pub fn of_machine(machine: u16, emulators: &Emulators) -> ExplainForeign {
        let entry = emulators.iter().find(|entry| entry.cpu.elf_machine == machine);
        ExplainForeign {
            machine,
            cpu: entry.map(|entry| entry.cpu),
            emulator_exists: entry.is_some_and(|entry| !matches!(entry.support, Support::Missing { .. })),
        }
    }
}

/// `e_machine` in whichever byte order the file has. Source: elf(5).
fn machine(header: &[u8]) -> Option<u16> {
    const BIG_ENDIAN: u8 = 2;
    let header = header
        .get(..ELF_IDENTITY_LEN)
        .filter(|header| header.starts_with(b"\x7fELF"))?;
    let bytes = [header[18], header[19]];
    Some(match header[5] {
        BIG_ENDIAN => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    })
}

impl fmt::Display for ExplainForeign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(cpu) = self.cpu else {
            return write!(
                f,
                "the program is for ELF machine {}, which nothing here runs",
                self.machine
            );
        };
        let (machine, platform) = (cpu.machine_name, cpu.platform());
        write!(f, "the program is for {machine} ({platform})")?;
        if self.emulator_exists {
            write!(
                f,
                ", which this container was not set up to run; start it with `--platform {platform}`"
            )
        } else {
            write!(
                f,
                ", which this host does not run and has no emulator for; install the package {}",
                PACKAGES.join(" or ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;

    fn emulators(support: Support) -> Emulators {
        Emulators {
            entries: vec![Entry {
                cpu: Cpu::named("s390x").unwrap(),
                support,
                registered: None,
                refused: Vec::new(),
            }],
        }
    }

    #[test]
    fn the_remedy_fits_the_cause() {
        let header = Cpu::named("s390x").unwrap().binfmt_magic();
        let missing = emulators(Support::Missing { packages: PACKAGES });
        assert_eq!(
            ExplainForeign::of(&header, &missing).unwrap().to_string(),
            "the program is for IBM S/390 (linux/s390x), which this host does not run and has no emulator for; \
             install the package qemu-user or qemu-user-static"
        );
        assert_eq!(ExplainForeign::of(&header, &emulators(Support::Native)), None);
        let mut unknown = header;
        unknown[18..20].copy_from_slice(&[1, 2]);
        assert_eq!(
            ExplainForeign::of(&unknown, &missing).unwrap().to_string(),
            "the program is for ELF machine 258, which nothing here runs"
        );
        assert_eq!(ExplainForeign::of(b"#!/bin/sh", &missing), None);
        assert_eq!(ExplainForeign::of(b"", &missing), None);
        let by_machine = ExplainForeign::of_machine(22, &missing);
        assert_eq!(Some(by_machine), ExplainForeign::of(&header, &missing));
    }
}
