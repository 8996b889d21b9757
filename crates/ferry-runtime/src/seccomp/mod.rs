//! System-call filters: from a profile to classic BPF.
//!
//! A profile (`oci_spec::runtime::LinuxSeccomp`) becomes one range tree per architecture: a binary
//! search over system-call numbers, with equal neighbours merged. The kernel walks the filter for
//! every number when it is loaded and at each call, so depth is what costs.

mod architecture;
mod assembler;
mod decision;
mod default_profile;
mod docker_profile;
mod error;
mod program;
mod syscalls;
#[cfg(test)]
mod tests;
mod tree;

pub use architecture::Architecture;
pub use default_profile::default_profile;
pub use docker_profile::{ProfileContext, ProfileError, parse_profile};
pub use error::{CompileError, LoadError};
pub use program::Program;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag};

use assembler::Assembler;
use decision::{Decision, RET_KILL_PROCESS, Range, ranges};

/// What the kernel takes at most. Source: `linux/bpf_common.h`, `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: usize = 4096;

/// Compiles a profile for this host's architecture and those that the profile names.
///
/// Takes some hundred microseconds; keep the result. Refuses a profile that reports calls to a listener.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program, CompileError> {
    compile_for(profile, native()?)
}

/// As [`compile`], for a host of another architecture.
pub fn compile_for(profile: &LinuxSeccomp, native: Architecture) -> Result<Program, CompileError> {
    let program = write(profile, native)?;
    if program.reports() {
        return Err(CompileError::Unsupported {
            feature: "SCMP_ACT_NOTIFY",
        });
    }
    Ok(program)
}

/// As [`compile`], for whoever has a listener: see [`Program::reports`].
pub fn compile_with_listener(profile: &LinuxSeccomp) -> Result<Program, CompileError> {
    write(profile, native()?)
}

fn native() -> Result<Architecture, CompileError> {
    Architecture::native().ok_or(CompileError::Unsupported {
        feature: std::env::consts::ARCH,
    })
}

fn write(profile: &LinuxSeccomp, native: Architecture) -> Result<Program, CompileError> {
    let mut assembler = Assembler::default();
    tree::write(&mut assembler, &trees(profile, native)?);
    let instructions = assembler.finish();
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(CompileError::TooLong {
            instructions: instructions.len(),
        });
    }
    Ok(Program::new(&instructions, flags(profile)))
}

/// The decisions for each architecture that the kernel tells apart by `seccomp_data.arch`, the
/// native one first.
fn trees(profile: &LinuxSeccomp, native: Architecture) -> Result<Vec<(Architecture, Vec<Range>)>, CompileError> {
    let mut wanted = vec![native];
    for named in profile.architectures().iter().flatten() {
        match Architecture::from_oci(*named) {
            Some(architecture) if !wanted.contains(&architecture) => wanted.push(architecture),
            _ => {}
        }
    }
    let mut trees = Vec::new();
    for architecture in wanted.iter().filter(|wanted| **wanted != Architecture::X32) {
        let mut ranges = ranges(profile, *architecture)?;
        if *architecture == Architecture::X86_64 {
            ranges.extend(x32(profile, wanted.contains(&Architecture::X32))?);
        }
        trees.push((*architecture, ranges));
    }
    Ok(trees)
}

/// x32 calls come with x86_64's number of the architecture and a marked call number.
fn x32(profile: &LinuxSeccomp, wanted: bool) -> Result<Vec<Range>, CompileError> {
    if wanted {
        return ranges(profile, Architecture::X32);
    }
    Ok(vec![Range {
        start: architecture::X32_BIT,
        decision: Decision::Always(RET_KILL_PROCESS),
    }])
}

/// Source: `linux/seccomp.h`. TSYNC is for loading into several threads, and there is one.
fn flags(profile: &LinuxSeccomp) -> u64 {
    let flags = profile.flags().iter().flatten();
    flags.fold(0, |all, flag| {
        all | match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => 1 << 1,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => 1 << 2,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 1 << 5,
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => 0,
        }
    })
}
