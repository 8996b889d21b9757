//! The architectures whose calls a filter tells apart.

use oci_spec::runtime::Arch;

/// An architecture, or a second calling convention of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86 programs.
    X86,
    /// 32-bit pointers on 64-bit x86; shares the kernel's architecture number with it.
    X32,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm programs.
    Arm,
}

/// How much of an argument a call looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Width {
    /// The low half; the upper is whatever the register held.
    Low32,
    /// All of it.
    Full64,
}

/// Marks x32 calls. Source: `asm/unistd.h`, `__X32_SYSCALL_BIT`.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Architecture {
    /// All that a filter can be made for.
    pub const ALL: [Architecture; 5] = [
        Architecture::X86_64,
        Architecture::X86,
        Architecture::X32,
        Architecture::Aarch64,
        Architecture::Arm,
    ];

    /// The architecture that this program was compiled for.
    #[must_use]
    pub fn native() -> Option<Architecture> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Architecture::X86_64),
            "aarch64" => Some(Architecture::Aarch64),
            "x86" => Some(Architecture::X86),
            "arm" => Some(Architecture::Arm),
            _ => None,
        }
    }

    /// This architecture and those whose programs its kernel may run too; a filter that left one
    /// out would be a hole or a trap.
    #[must_use]
    pub fn family(self) -> &'static [Architecture] {
        match self {
            Architecture::X86_64 => &[Architecture::X86_64, Architecture::X86, Architecture::X32],
            Architecture::Aarch64 => &[Architecture::Aarch64, Architecture::Arm],
            Architecture::X86 => &[Architecture::X86],
            Architecture::X32 => &[Architecture::X32],
            Architecture::Arm => &[Architecture::Arm],
        }
    }

    /// From the OCI runtime specification; `None` for those that no filter is made for.
    #[must_use]
    pub fn from_oci(arch: Arch) -> Option<Architecture> {
        match arch {
            Arch::ScmpArchNative => Architecture::native(),
            Arch::ScmpArchX86_64 => Some(Architecture::X86_64),
            Arch::ScmpArchX86 => Some(Architecture::X86),
            Arch::ScmpArchX32 => Some(Architecture::X32),
            Arch::ScmpArchAarch64 => Some(Architecture::Aarch64),
            Arch::ScmpArchArm => Some(Architecture::Arm),
            _ => None,
        }
    }

    /// The shape of the OCI runtime specification.
    #[must_use]
    pub fn to_oci(self) -> Arch {
        match self {
            Architecture::X86_64 => Arch::ScmpArchX86_64,
            Architecture::X86 => Arch::ScmpArchX86,
            Architecture::X32 => Arch::ScmpArchX32,
            Architecture::Aarch64 => Arch::ScmpArchAarch64,
            Architecture::Arm => Arch::ScmpArchArm,
        }
    }

    /// What `seccomp_data.arch` holds. Source: `linux/audit.h`.
    pub(super) fn audit(self) -> u32 {
        match self {
            Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::Arm => 0x4000_0028,
        }
    }

    pub(super) fn width(self) -> Width {
        match self {
            Architecture::X86_64 | Architecture::Aarch64 => Width::Full64,
            Architecture::X86 | Architecture::X32 | Architecture::Arm => Width::Low32,
        }
    }
}
