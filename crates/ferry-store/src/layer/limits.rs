//! How large a layer may be.

/// Bounds on what one layer may unpack to; beyond them it is refused and leaves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries of its tar.
    pub entries: u64,
    /// Bytes of its uncompressed tar.
    pub unpacked_bytes: u64,
    /// Uncompressed bytes for each compressed one, counted beyond [`Limits::FREE_BYTES`]: gzip cannot
    /// exceed 1,032, zstd can.
    pub compression_ratio: u64,
    /// Bytes of an entry's path.
    pub path_bytes: usize,
    /// Folders of an entry's path.
    pub path_depth: usize,
    /// Bytes of all its directories' paths together, which are held in memory while it unpacks.
    pub directory_bytes: usize,
}

impl Limits {
    /// What may be unpacked before the ratio counts, in bytes.
    pub const FREE_BYTES: u64 = 256 << 20;

    /// Largest zstd window, as a power of two: 128 MiB, what the `zstd` program accepts by default.
    pub(crate) const ZSTD_WINDOW_LOG: u32 = 27;
}

impl Default for Limits {
    /// Large enough for the largest images seen in practice (models of 100 GiB a layer).
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            unpacked_bytes: 1 << 40,
            compression_ratio: 2_000,
            path_bytes: 4_095,
            path_depth: 512,
            directory_bytes: 256 << 20,
        }
    }
}
