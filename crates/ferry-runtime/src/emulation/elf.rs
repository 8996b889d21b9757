//! As much of an ELF file as tells its CPU and whether it needs a dynamic loader.
//!
//! Source: elf(5). Files are read with a bound and never trusted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use ferry_oci::cpu::{Cpu, ElfClass, Endianness};

/// Program headers beyond these are not looked at; real programs have about ten.
const MAX_PROGRAM_HEADERS: u64 = 128;

const HEADER_LEN: usize = 64;
const PT_INTERP: u32 = 3;

/// Whether a program needs a dynamic loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// It carries all it needs.
    Static,
    /// It names a loader, which a container's root does not have.
    Dynamic,
}

/// The CPU and linkage of an executable; `None` when it is no ELF file of a CPU in the table.
pub(crate) fn inspect(file: &File) -> io::Result<Option<(&'static Cpu, Linkage)>> {
    let mut header = [0; HEADER_LEN];
    let filled = read_up_to(file, &mut header)?;
    let Some(cpu) = Cpu::of_elf(&header[..filled]) else {
        return Ok(None);
    };
    let layout = Layout::of(cpu);
    let table = layout.address(&header, layout.table_at);
    let size = u64::from(layout.half(&header, layout.entry_size_at));
    let count = u64::from(layout.half(&header, layout.count_at)).min(MAX_PROGRAM_HEADERS);
    for index in 0..count {
        let Some(at) = size.checked_mul(index).and_then(|skip| table.checked_add(skip)) else {
            return Ok(None);
        };
        let mut kind = [0; 4];
        if read_up_to_at(file, &mut kind, at)? < kind.len() {
            return Ok(None);
        }
        if layout.word(kind) == PT_INTERP {
            return Ok(Some((cpu, Linkage::Dynamic)));
        }
    }
    Ok(Some((cpu, Linkage::Static)))
}

/// Where a header of one class holds what, and in which byte order.
struct Layout {
    little: bool,
    address_len: usize,
    table_at: usize,
    entry_size_at: usize,
    count_at: usize,
}

impl Layout {
    fn of(cpu: &Cpu) -> Layout {
        let (address_len, table_at, entry_size_at, count_at) = match cpu.elf_class {
            ElfClass::Elf32 => (4, 28, 42, 44),
            ElfClass::Elf64 => (8, 32, 54, 56),
        };
        Layout {
            little: cpu.endianness == Endianness::Little,
            address_len,
            table_at,
            entry_size_at,
            count_at,
        }
    }

    fn address(&self, header: &[u8; HEADER_LEN], at: usize) -> u64 {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let bytes = &header[at..at + self.address_len];
        if self.little {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        }
    }

    fn half(&self, header: &[u8; HEADER_LEN], at: usize) -> u16 {
        let bytes = [header[at], header[at + 1]];
        if self.little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        }
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        }
    }
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    read_up_to_at(file, buffer, 0)
}

fn read_up_to_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        // Beyond what a file can be, as offsets of files are signed.
        let position = at.saturating_add(filled as u64);
        if i64::try_from(position).is_err() {
            break;
        }
        match file.read_at(&mut buffer[filled..], position) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let memory = rustix::fs::memfd_create("elf", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = File::from(memory);
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn programs_of_this_host() {
        let test = File::open("/proc/self/exe").unwrap();
        assert_eq!(inspect(&test).unwrap().unwrap().0, Cpu::host());
    }

    #[test]
    fn scripts_and_torn_files_are_no_programs() {
        assert_eq!(
            inspect(&file(
                b"#!/bin/sh\necho this is long enough for an ELF header, surely\n"
            ))
            .unwrap(),
            None
        );
        assert_eq!(inspect(&file(b"")).unwrap(), None);
        assert_eq!(inspect(&file(b"\x7fELF")).unwrap(), None);
    }

    #[test]
    fn headers_that_point_outside_are_refused() {
        for cpu in ferry_oci::cpu::ALL {
            let mut header = [0xff; HEADER_LEN];
            header[..20].copy_from_slice(&cpu.binfmt_magic());
            assert_eq!(inspect(&file(&header)).unwrap(), None, "{}", cpu.architecture);
        }
    }

    #[test]
    fn a_loader_makes_a_program_dynamic() {
        for cpu in ferry_oci::cpu::ALL {
            let layout = Layout::of(cpu);
            let mut bytes = [0; HEADER_LEN + 4];
            bytes[..20].copy_from_slice(&cpu.binfmt_magic());
            let place = |value: u16| {
                if layout.little {
                    value.to_le_bytes()
                } else {
                    value.to_be_bytes()
                }
            };
            // An address's low half: where its last bytes are depends on the order.
            let low = if layout.little {
                layout.table_at
            } else {
                layout.table_at + layout.address_len - 2
            };
            bytes[low..low + 2].copy_from_slice(&place(64));
            bytes[layout.entry_size_at..][..2].copy_from_slice(&place(32));
            bytes[layout.count_at..][..2].copy_from_slice(&place(1));
            assert_eq!(inspect(&file(&bytes)).unwrap(), Some((cpu, Linkage::Static)));
            let kind = if layout.little {
                PT_INTERP.to_le_bytes()
            } else {
                PT_INTERP.to_be_bytes()
            };
            bytes[HEADER_LEN..].copy_from_slice(&kind);
            assert_eq!(inspect(&file(&bytes)).unwrap(), Some((cpu, Linkage::Dynamic)));
        }
    }
}
