//! Reads tar headers from outside: ustar, GNU long names and PAX records, all within bounds.
//!
//! Where readers of the field differ, this one reads as Go's `archive/tar` does, because the tools
//! that made and checked an image did: entries that carry no data have none whatever their size says,
//! a GNU long name wins over a PAX path, global PAX headers are ignored.

use std::io::{self, BufRead};

use crate::error::TarError;
use crate::{EntryError, Error};

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;

/// Largest PAX or long-name header; the bound that Go's `archive/tar` has.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Prefix of PAX records that carry extended attributes.
pub(crate) const PAX_XATTR: &str = "SCHILY.xattr.";

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

/// An entry's header, with all that extension headers said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// As it stands in the archive; not to be trusted.
    pub(crate) name: Vec<u8>,
    /// Target of a symbolic or hard link.
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) size_bytes: u64,
    pub(crate) device: (u32, u32),
    pub(crate) metadata: Metadata,
}

/// What an entry says about its inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Mtime,
    /// In the order of the archive; a name may come twice, then the last wins.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Modification time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mtime {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// A tar stream: [`TarReader::next`] and then [`TarReader::data`] until it is empty, in turn.
pub(crate) struct TarReader<R> {
    input: R,
    offset: u64,
    /// Bytes of the current entry's data that were not read.
    data_left: u64,
    padding: u64,
}

/// What extension headers say about the entry that follows them.
#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: BufRead> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            data_left: 0,
            padding: 0,
        }
    }

    /// The next entry; `None` at the end. Data of the current one that was not read is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Header>, Error> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_data()?;
            let Some(block) = self.header_block()? else {
                return Ok(None);
            };
            let offset = self.offset - BLOCK as u64;
            verify_checksum(&block, offset)?;
            let size_bytes = number(&block[124..136], "size", offset)?;
            match block[156] {
                b'L' => extensions.long_name = Some(until_nul(self.extension(size_bytes)?)),
                b'K' => extensions.long_link = Some(until_nul(self.extension(size_bytes)?)),
                b'x' => {
                    let records = self.extension(size_bytes)?;
                    extensions.pax = parse_pax(&records).ok_or(TarError::Pax { offset })?;
                }
                // Global PAX headers and volume labels say nothing about one entry.
                b'g' => drop(self.extension(size_bytes)?),
                b'V' => {}
                _ => {
                    let header = build_header(&block, size_bytes, extensions, offset)?;
                    self.data_left = header.size_bytes;
                    self.padding = padding_of(header.size_bytes);
                    return Ok(Some(header));
                }
            }
        }
    }

    /// The next piece of the current entry's data; empty at its end. [`TarReader::consume`] what was used.
    pub(crate) fn data(&mut self) -> Result<&[u8], Error> {
        if self.data_left == 0 {
            return Ok(&[]);
        }
        let left = self.data_left;
        let piece = fill(&mut self.input)?;
        if piece.is_empty() {
            return Err(TarError::Truncated.into());
        }
        let len = (piece.len() as u64).min(left) as usize;
        Ok(&piece[..len])
    }

    /// Marks `len` bytes of what [`TarReader::data`] returned as used.
    pub(crate) fn consume(&mut self, len: usize) {
        self.input.consume(len);
        self.data_left -= len as u64;
        self.offset += len as u64;
    }

    /// Reads what follows the end of the archive, so that a digest of the stream covers it.
    pub(crate) fn drain(mut self) -> Result<(), Error> {
        loop {
            let len = fill(&mut self.input)?.len();
            if len == 0 {
                return Ok(());
            }
            self.input.consume(len);
        }
    }

    fn skip_data(&mut self) -> Result<(), Error> {
        // A size that no stream has ends as a truncated one.
        let mut left = self.data_left.saturating_add(self.padding);
        self.data_left = 0;
        self.padding = 0;
        while left > 0 {
            let available = fill(&mut self.input)?.len() as u64;
            if available == 0 {
                return Err(TarError::Truncated.into());
            }
            let len = available.min(left);
            self.input.consume(len as usize);
            self.offset += len;
            left -= len;
        }
        Ok(())
    }

    /// The next header; `None` after two zero blocks or at a clean end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        match self.block()? {
            Some(second) if second.iter().any(|byte| *byte != 0) => Err(TarError::Checksum {
                offset: self.offset - 2 * BLOCK as u64,
            }
            .into()),
            _ => Ok(None),
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let piece = fill(&mut self.input)?;
            if piece.is_empty() {
                return match filled {
                    0 => Ok(None),
                    _ => Err(TarError::Truncated.into()),
                };
            }
            let len = piece.len().min(BLOCK - filled);
            block[filled..filled + len].copy_from_slice(&piece[..len]);
            self.input.consume(len);
            filled += len;
        }
        self.offset += BLOCK as u64;
        Ok(Some(block))
    }

    /// The data of an extension header.
    fn extension(&mut self, size_bytes: u64) -> Result<Vec<u8>, Error> {
        if size_bytes > MAX_EXTENSION_BYTES {
            return Err(TarError::Extension {
                size_bytes,
                limit_bytes: MAX_EXTENSION_BYTES,
            }
            .into());
        }
        self.data_left = size_bytes;
        self.padding = padding_of(size_bytes);
        let mut bytes = Vec::with_capacity(size_bytes as usize);
        while self.data_left > 0 {
            let piece = self.data()?;
            bytes.extend_from_slice(piece);
            let len = piece.len();
            self.consume(len);
        }
        Ok(bytes)
    }
}

/// Fills the buffer of `input`; its failures are the stream's own.
fn fill<R: BufRead>(input: &mut R) -> Result<&[u8], Error> {
    // A first call to retry interrupted reads, a second one because the borrow checker cannot see
    // that the first result is returned at once.
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Input(error)),
            Ok(_) => break,
        }
    }
    input.fill_buf().map_err(Error::Input)
}

fn padding_of(size_bytes: u64) -> u64 {
    size_bytes.wrapping_neg() % BLOCK as u64
}

fn build_header(block: &[u8; BLOCK], size_bytes: u64, extensions: Extensions, offset: u64) -> Result<Header, Error> {
    let mut header = Header {
        name: plain_name(block),
        link: until_nul(block[157..257].to_vec()),
        kind: Kind::File,
        size_bytes,
        device: (0, 0),
        metadata: Metadata {
            mode: number(&block[100..108], "mode", offset)? as u32 & 0o7777,
            uid: id(number(&block[108..116], "uid", offset)?, "uid", offset)?,
            gid: id(number(&block[116..124], "gid", offset)?, "gid", offset)?,
            mtime: Mtime {
                seconds: signed_number(&block[136..148], "mtime", offset)?,
                nanoseconds: 0,
            },
            xattrs: Vec::new(),
        },
    };
    for (key, value) in extensions.pax {
        apply_pax(&mut header, &key, value, offset)?;
    }
    header.name = extensions.long_name.unwrap_or(header.name);
    header.link = extensions.long_link.unwrap_or(header.link);
    header.kind = kind_of(block[156], &header.name)?;
    if matches!(header.kind, Kind::Char | Kind::Block) {
        let major = number(&block[329..337], "devmajor", offset)?;
        let minor = number(&block[337..345], "devminor", offset)?;
        header.device = (id(major, "devmajor", offset)?, id(minor, "devminor", offset)?);
    }
    if header.kind != Kind::File {
        header.size_bytes = 0;
    }
    Ok(header)
}

fn kind_of(type_flag: u8, name: &[u8]) -> Result<Kind, Error> {
    let refused = |reason| Error::Entry {
        path: String::from_utf8_lossy(name).into_owned(),
        reason,
    };
    Ok(match type_flag {
        // Before ustar, a slash at the end was what made a directory.
        b'0' | b'\0' if name.ends_with(b"/") => Kind::Directory,
        b'0' | b'\0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => return Err(refused(EntryError::Sparse)),
        other => return Err(refused(EntryError::Type(other.into()))),
    })
}

/// The name within the header itself; only ustar has a prefix, GNU keeps other things there.
fn plain_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(block[..100].to_vec());
    let prefix = until_nul(block[345..500].to_vec());
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
        [prefix, name].join(&b'/')
    } else {
        name
    }
}

fn apply_pax(header: &mut Header, key: &[u8], value: Vec<u8>, offset: u64) -> Result<(), Error> {
    let pax = || Error::from(TarError::Pax { offset });
    let text = || std::str::from_utf8(&value).ok();
    match key {
        // An empty value takes back what an earlier global header said; those are ignored.
        _ if value.is_empty() && !key.starts_with(PAX_XATTR.as_bytes()) => {}
        b"path" => header.name = value,
        b"linkpath" => header.link = value,
        b"size" => {
            header.size_bytes = text().and_then(|text| text.parse().ok()).ok_or_else(pax)?;
        }
        b"uid" => header.metadata.uid = pax_id(text(), "uid", offset)?,
        b"gid" => header.metadata.gid = pax_id(text(), "gid", offset)?,
        b"mtime" => header.metadata.mtime = text().and_then(pax_time).ok_or_else(pax)?,
        _ if key.starts_with(b"GNU.sparse.") => {
            return Err(Error::Entry {
                path: String::from_utf8_lossy(&header.name).into_owned(),
                reason: EntryError::Sparse,
            });
        }
        _ => {
            if let Some(name) = key.strip_prefix(PAX_XATTR.as_bytes()) {
                header.metadata.xattrs.push((name.to_vec(), value));
            }
        }
    }
    Ok(())
}

/// Records of the form `length key=value\n`, where the length counts the whole record.
fn parse_pax(mut records: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut parsed = Vec::new();
    while !records.is_empty() {
        let space = records.iter().take(20).position(|byte| *byte == b' ')?;
        let digits = &records[..space];
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let len: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let record = records.get(space + 1..len)?;
        let record = record.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let is_name = matches!(key, b"path" | b"linkpath") || key.starts_with(PAX_XATTR.as_bytes());
        // A NUL would cut the name short for the kernel and nowhere else.
        let checked = if key.starts_with(PAX_XATTR.as_bytes()) {
            key
        } else {
            value
        };
        if key.is_empty() || (is_name && checked.contains(&0)) {
            return None;
        }
        parsed.push((key.to_vec(), value.to_vec()));
        records = &records[len..];
    }
    Some(parsed)
}

/// `[-]seconds[.fraction]`
fn pax_time(text: &str) -> Option<Mtime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut nanoseconds: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        seconds = seconds.checked_sub(1)?;
        nanoseconds = 1_000_000_000 - nanoseconds;
    }
    Some(Mtime { seconds, nanoseconds })
}

fn pax_id(text: Option<&str>, field: &'static str, offset: u64) -> Result<u32, Error> {
    let parsed = text.and_then(|text| text.parse().ok());
    id(parsed.unwrap_or(u64::MAX), field, offset)
}

/// The largest 32-bit number means "leave as it is" to chown(2), so it is no id.
fn id(number: u64, field: &'static str, offset: u64) -> Result<u32, Error> {
    match u32::try_from(number) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(TarError::Field { field, offset }.into()),
    }
}

fn number(bytes: &[u8], field: &'static str, offset: u64) -> Result<u64, Error> {
    u64::try_from(signed_number(bytes, field, offset)?).map_err(|_| TarError::Field { field, offset }.into())
}

/// Octal digits between blanks, or GNU's base 256 when the first bit is set.
fn signed_number(bytes: &[u8], field: &'static str, offset: u64) -> Result<i64, Error> {
    parse_number(bytes).ok_or_else(|| TarError::Field { field, offset }.into())
}

fn parse_number(bytes: &[u8]) -> Option<i64> {
    if bytes[0] & 0x80 != 0 {
        let is_negative = bytes[0] & 0x40 != 0;
        let first = if is_negative { bytes[0] } else { bytes[0] & 0x7f };
        let start = if is_negative { -1_i128 } else { 0 };
        let start = (start << 8) | i128::from(first);
        let value = bytes[1..].iter().try_fold(start, |value, byte| {
            value.checked_mul(256).map(|v| v | i128::from(*byte))
        })?;
        return i64::try_from(value).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !is_blank(byte));
    let Some(digits) = start.map(|start| &bytes[start..]) else {
        return Some(0);
    };
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    if !digits[end..].iter().all(is_blank) {
        return None;
    }
    digits[..end].iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn verify_checksum(block: &[u8; BLOCK], offset: u64) -> Result<(), Error> {
    let stored = parse_number(&block[148..156]);
    let bytes = || {
        let blanked = |(index, byte): (usize, &u8)| match index {
            148..156 => b' ',
            _ => *byte,
        };
        block.iter().enumerate().map(blanked)
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    // Some old programs summed signed characters.
    let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    if stored == Some(unsigned) || stored == Some(signed) {
        Ok(())
    } else {
        Err(TarError::Checksum { offset }.into())
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}
