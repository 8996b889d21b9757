//! Whether the kernel executes programs of a CPU by itself: a real one is run to know.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use ferry_oci::cpu::Cpu;
use rustix::fs::MemfdFlags;

/// The exit status of every probe.
const STATUS: i32 = 42;

/// A second CPU that a host's CPU may know, and instructions that exit with [`STATUS`].
struct Probe {
    host: &'static str,
    guest: &'static str,
    code: &'static [u8],
}

const PROBES: &[Probe] = &[
    Probe {
        host: "amd64",
        guest: "386",
        // mov eax, 1 (exit); mov ebx, 42; int 0x80
        code: &[0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80],
    },
    Probe {
        host: "arm64",
        guest: "arm",
        // mov r0, #42; mov r7, #1 (exit); svc #0
        code: &[0x2a, 0x00, 0xa0, 0xe3, 0x01, 0x70, 0xa0, 0xe3, 0x00, 0x00, 0x00, 0xef],
    },
];

/// Whether programs of `cpu` run here without help.
pub(super) fn is_native(cpu: &Cpu) -> bool {
    let host = Cpu::host();
    cpu == host
        || PROBES
            .iter()
            .find(|probe| probe.host == host.architecture && probe.guest == cpu.architecture)
            .is_some_and(|probe| runs(&program(cpu, probe.code)))
}

/// Executes a program from memory; one that cannot be executed does not run.
fn runs(program: &[u8]) -> bool {
    // The flag is younger than some kernels, and there only strict ones miss it.
    let memory = rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC));
    let Ok(mut file) = memory.map(File::from) else {
        return false;
    };
    if file.write_all(program).is_err() {
        return false;
    }
    let status = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.code() == Some(STATUS))
}

/// The smallest static 32-bit little-endian ELF executable of these instructions. Source: elf(5).
fn program(cpu: &Cpu, code: &[u8]) -> Vec<u8> {
    const HEADERS_LEN: u32 = 52 + 32;
    const LOAD_AT: u32 = 0x1_0000;
    let len = HEADERS_LEN + code.len() as u32;
    let mut file = cpu.binfmt_magic().to_vec();
    let mut words = |words: &[u32]| file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    // e_version, e_entry, e_phoff, e_shoff, e_flags (version 5 of Arm's ABI; others ignore it)
    words(&[1, LOAD_AT + HEADERS_LEN, 52, 0, 0x0500_0000]);
    // e_ehsize and e_phentsize, e_phnum and e_shentsize, e_shnum and e_shstrndx
    words(&[32 << 16 | 52, 1, 0]);
    // PT_LOAD: p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_flags (R+X), p_align
    words(&[1, 0, LOAD_AT, LOAD_AT, len, len, 5, 0x1000]);
    file.extend_from_slice(code);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_native_and_big_endian_mainframes_are_not() {
        assert!(is_native(Cpu::host()));
        let other = if Cpu::host().architecture == "s390x" {
            "ppc64le"
        } else {
            "s390x"
        };
        assert!(!is_native(Cpu::named(other).unwrap()));
    }

    #[test]
    fn probes_are_static_programs_of_their_cpu() {
        use super::super::elf::{Linkage, inspect};
        for probe in PROBES {
            let cpu = Cpu::named(probe.guest).unwrap();
            let memory = rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC).unwrap();
            let mut file = File::from(memory);
            file.write_all(&program(cpu, probe.code)).unwrap();
            assert_eq!(inspect(&file).unwrap(), Some((cpu, Linkage::Static)));
        }
    }

    #[test]
    fn an_amd64_kernel_with_32_bit_support_says_so() {
        if Cpu::host().architecture != "amd64" {
            eprintln!("skipped: needs an amd64 host");
            return;
        }
        let supported = std::fs::read_to_string("/proc/kallsyms")
            .unwrap_or_default()
            .contains("ia32_sys_call");
        if supported {
            assert!(is_native(Cpu::named("386").unwrap()));
        }
    }
}
