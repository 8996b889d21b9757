//! The row type of the CPU table, until it comes from ferry-oci.

/// One CPU that images may be made for (becomes `ferry_oci::cpu::Cpu`).
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Name in image platforms, such as `arm64`.
    pub architecture: &'static str,
}
