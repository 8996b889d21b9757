//! Writes tar headers so that the same entry always becomes the same bytes.
//!
//! Every entry is a ustar header. What does not fit into it — a name or link of more than 100 bytes,
//! a large number, attributes — goes into one PAX header before it, with its records sorted by key.
//! User and group names, access and change times, and the name prefix stay empty.

use std::io::{self, Write};

use super::read::{BLOCK, PAX_XATTR};

/// Largest number that an octal field of eight bytes holds.
const MAX_OCTAL_8: u64 = 0o7_777_777;
/// Largest number that an octal field of twelve bytes holds.
const MAX_OCTAL_12: u64 = 0o77_777_777_777;

/// An entry to write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry<'a> {
    /// Relative, with a slash at the end for a directory.
    pub(crate) name: &'a [u8],
    /// Target of a symbolic or hard link.
    pub(crate) link: &'a [u8],
    /// ustar's type flag.
    pub(crate) type_flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size_bytes: u64,
    pub(crate) mtime_seconds: i64,
    pub(crate) device: (u32, u32),
    /// Sorted by name.
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// Writes the header of `entry`; its data and [`pad`] follow.
pub(crate) fn header(out: &mut impl Write, entry: &Entry<'_>) -> io::Result<()> {
    let records = pax_records(entry);
    if !records.is_empty() {
        let pax = Entry {
            name: b"PaxHeaders.0/entry",
            type_flag: b'x',
            mode: 0o644,
            size_bytes: records.len() as u64,
            ..Entry::default()
        };
        out.write_all(&ustar(&pax))?;
        out.write_all(&records)?;
        pad(out, records.len() as u64)?;
    }
    out.write_all(&ustar(entry))
}

/// Fills the block that data of `size_bytes` leaves open.
pub(crate) fn pad(out: &mut impl Write, size_bytes: u64) -> io::Result<()> {
    let padding = (size_bytes.wrapping_neg() % BLOCK as u64) as usize;
    out.write_all(&[0; BLOCK][..padding])
}

/// Ends the archive.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

fn ustar(entry: &Entry<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block[..100], entry.name);
    octal(&mut block[100..108], entry.mode.into());
    octal(&mut block[108..116], clip(entry.uid.into(), MAX_OCTAL_8));
    octal(&mut block[116..124], clip(entry.gid.into(), MAX_OCTAL_8));
    octal(&mut block[124..136], clip(entry.size_bytes, MAX_OCTAL_12));
    let mtime = u64::try_from(entry.mtime_seconds).unwrap_or(0);
    octal(&mut block[136..148], clip(mtime, MAX_OCTAL_12));
    block[156] = entry.type_flag;
    put(&mut block[157..257], entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    if matches!(entry.type_flag, b'3' | b'4') {
        octal(&mut block[329..337], clip(entry.device.0.into(), MAX_OCTAL_8));
        octal(&mut block[337..345], clip(entry.device.1.into(), MAX_OCTAL_8));
    }
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A number that PAX carries instead leaves zero behind.
fn clip(number: u64, largest: u64) -> u64 {
    if number > largest { 0 } else { number }
}

fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    put(field, format!("{number:0digits$o}").as_bytes());
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let len = bytes.len().min(field.len());
    field[..len].copy_from_slice(&bytes[..len]);
}

fn pax_records(entry: &Entry<'_>) -> Vec<u8> {
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |key: &str, value: Vec<u8>| records.push((key.as_bytes().to_vec(), value));
    if entry.name.len() > 100 {
        add("path", entry.name.to_vec());
    }
    if entry.link.len() > 100 {
        add("linkpath", entry.link.to_vec());
    }
    if entry.size_bytes > MAX_OCTAL_12 {
        add("size", entry.size_bytes.to_string().into_bytes());
    }
    for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if u64::from(id) > MAX_OCTAL_8 {
            add(key, id.to_string().into_bytes());
        }
    }
    if !u64::try_from(entry.mtime_seconds).is_ok_and(|mtime| mtime <= MAX_OCTAL_12) {
        add("mtime", entry.mtime_seconds.to_string().into_bytes());
    }
    for (name, value) in entry.xattrs {
        records.push(([PAX_XATTR.as_bytes(), name].concat(), value.clone()));
    }
    records.sort();
    let mut bytes = Vec::new();
    for (key, value) in records {
        append_record(&mut bytes, &key, &value);
    }
    bytes
}

/// `length key=value\n`; the length counts its own digits.
fn append_record(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    bytes.extend_from_slice(len.to_string().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(key);
    bytes.push(b'=');
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn archive(entry: &Entry<'_>, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        header(&mut bytes, entry).unwrap();
        bytes.extend_from_slice(data);
        pad(&mut bytes, data.len() as u64).unwrap();
        end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn entries_are_read_back_by_another_reader() {
        let long = [b'n'; 300];
        let xattrs = [
            (b"user.a".to_vec(), vec![0, 255, b'=']),
            (b"user.b".to_vec(), Vec::new()),
        ];
        let entry = Entry {
            name: &long,
            type_flag: b'0',
            mode: 0o4755,
            uid: 4_000_000_000,
            gid: 100_000,
            size_bytes: 3,
            mtime_seconds: -5,
            xattrs: &xattrs,
            ..Entry::default()
        };
        let bytes = archive(&entry, b"abc");
        let mut archive = ::tar::Archive::new(&bytes[..]);
        let mut read = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(&*read.path_bytes(), &long);
        assert_eq!(read.header().mode().unwrap(), 0o4755);
        let records: Vec<_> = read
            .pax_extensions()
            .unwrap()
            .unwrap()
            .map(|record| record.unwrap().key().unwrap().to_owned())
            .collect();
        let keys = ["SCHILY.xattr.user.a", "SCHILY.xattr.user.b", "mtime", "path", "uid"];
        assert_eq!(records, keys);
        let mut data = String::new();
        read.read_to_string(&mut data).unwrap();
        assert_eq!(data, "abc");
    }

    #[test]
    fn what_is_written_is_read_back_whole() {
        use crate::tar::read::{Kind, TarReader};
        let xattrs = [(b"user.\xff".to_vec(), b"a\nb=\0c".to_vec())];
        let entry = Entry {
            name: &[b'n'; 4000],
            type_flag: b'0',
            mode: 0o1777,
            uid: u32::MAX - 1,
            gid: 0o7_777_777,
            size_bytes: 600,
            mtime_seconds: i64::from(i32::MIN) - 1,
            xattrs: &xattrs,
            ..Entry::default()
        };
        let bytes = archive(&entry, &[7; 600]);
        let mut reader = TarReader::new(&bytes[..]);
        let read = reader.next().unwrap().unwrap();
        assert_eq!((read.name.as_slice(), read.kind), (entry.name, Kind::File));
        let metadata = &read.metadata;
        assert_eq!((metadata.uid, metadata.gid), (entry.uid, entry.gid));
        assert_eq!(metadata.mtime.seconds, entry.mtime_seconds);
        assert_eq!(metadata.xattrs, xattrs);
        assert_eq!(reader.data().unwrap(), &[7; 600]);
        assert!(reader.next().unwrap().is_none());
        let device = Entry {
            name: b"dev",
            type_flag: b'3',
            device: (0o7_777_777, 5),
            ..Entry::default()
        };
        let bytes = archive(&device, b"");
        let read = TarReader::new(&bytes[..]).next().unwrap().unwrap();
        assert_eq!((read.kind, read.device), (Kind::Char, device.device));
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for value_len in 0..2000 {
            let mut bytes = Vec::new();
            append_record(&mut bytes, b"k", &vec![b'v'; value_len]);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let stated: usize = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(stated, bytes.len());
        }
    }
}
