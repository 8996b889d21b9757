//! What can go wrong with foreign programs, in words that carry the remedy.

use std::path::PathBuf;

/// Why there is no namespace of our own for emulators.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// `binfmt_misc` is not per user namespace here.
    #[error(
        "this kernel cannot give a user namespace its own binfmt_misc (Linux 6.7 or newer is needed)"
    )]
    KernelTooOld,
}

/// An emulator file that was found and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// Why not, as a sentence without full stop.
    pub reason: String,
}

/// A program of a CPU that cannot run here; `Display` names the machine, the platform and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no emulator for {platform} (ELF machine {machine})")]
pub struct ExplainForeign {
    /// `e_machine` of the file.
    pub machine: u16,
    /// The platform in the field's words, such as `linux/arm64`, when the table knows the machine.
    pub platform: String,
    /// Debian packages that would help, the better one first.
    pub packages: &'static [&'static str],
}
