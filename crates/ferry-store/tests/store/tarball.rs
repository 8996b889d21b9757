//! Builds tars entry by entry, also such as no honest program writes.

use std::io::Write;

/// A tar in the making.
#[derive(Default, Clone)]
pub(crate) struct Tarball(Vec<u8>);

/// One header; the rest of its fields can be set as bytes.
pub(crate) struct Entry {
    header: [u8; 512],
    data: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(type_flag: u8, name: &[u8]) -> Self {
        assert!(name.len() <= 100, "longer names take an extension");
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name);
        header[156] = type_flag;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let entry = Self {
            header,
            data: Vec::new(),
        };
        let mode = if type_flag == b'5' { 0o755 } else { 0o644 };
        entry.mode(mode).owner(0, 0).mtime(1_000_000_000).size(0)
    }

    pub(crate) fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self.size(data.len() as u64)
    }

    /// States a size, whatever the data are.
    pub(crate) fn size(self, size: u64) -> Self {
        self.octal(124, 12, size)
    }

    pub(crate) fn link(self, target: &[u8]) -> Self {
        self.bytes(157, target)
    }

    pub(crate) fn mode(self, mode: u64) -> Self {
        self.octal(100, 8, mode)
    }

    pub(crate) fn owner(self, uid: u64, gid: u64) -> Self {
        self.octal(108, 8, uid).octal(116, 8, gid)
    }

    pub(crate) fn mtime(self, seconds: u64) -> Self {
        self.octal(136, 12, seconds)
    }

    pub(crate) fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329, 8, major).octal(337, 8, minor)
    }

    /// Puts `bytes` at `offset` of the header.
    pub(crate) fn bytes(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.header[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn octal(self, offset: usize, width: usize, number: u64) -> Self {
        let digits = width - 1;
        self.bytes(offset, format!("{number:0digits$o}\0").as_bytes())
    }

    fn sealed(mut self) -> (Vec<u8>, Vec<u8>) {
        self.header[148..156].fill(b' ');
        let sum: u64 = self.header.iter().map(|byte| u64::from(*byte)).sum();
        let header = self.bytes(148, format!("{sum:06o}\0 ").as_bytes());
        (header.header.to_vec(), header.data)
    }
}

impl Tarball {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn entry(mut self, entry: Entry) -> Self {
        let (header, data) = entry.sealed();
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(&data);
        let padding = data.len().wrapping_neg() % 512;
        self.0.resize(self.0.len() + padding, 0);
        self
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(Entry::new(b'5', name.as_bytes()))
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(Entry::new(b'0', name.as_bytes()).data(data))
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Entry::new(b'2', name.as_bytes()).link(target.as_bytes()))
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(Entry::new(b'1', name.as_bytes()).link(target.as_bytes()))
    }

    pub(crate) fn whiteout(self, name: &str) -> Self {
        self.file(name, b"")
    }

    /// PAX records for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut len = rest + 1;
            while rest + len.to_string().len() != len {
                len = rest + len.to_string().len();
            }
            write!(data, "{len} {key}=").unwrap();
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.entry(Entry::new(b'x', b"PaxHeaders/x").data(&data))
    }

    /// GNU's long name for the entry that follows.
    pub(crate) fn long_name(self, name: &[u8]) -> Self {
        let data = [name, b"\0"].concat();
        self.entry(Entry::new(b'L', b"././@LongLink").data(&data))
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The archive without its two last blocks.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}
