//! Tells whether a file is a tar archive, perhaps compressed, as ADD does: by looking into it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::os::fd::OwnedFd;

use bzip2::bufread::MultiBzDecoder;
use ferry_store::layer::Decompressed;
use lzma_rust2::XzReader;

/// A tar's block; its header is the first.
const BLOCK_LEN: usize = 512;
/// Memory that an xz archive may ask for: what `xz -9` needs, twice.
const XZ_MEMORY_KIB: u32 = 130 << 10;

/// Whether the file holds at least one tar header after decompression.
pub(crate) fn is_archive(file: &OwnedFd) -> io::Result<bool> {
    let mut file = File::from(file.try_clone()?);
    let mut header = [0; BLOCK_LEN];
    let has_header =
        open_tar(file.try_clone()?).is_ok_and(|mut tar| tar.read_exact(&mut header).is_ok() && is_header(&header));
    file.rewind()?;
    Ok(has_header)
}

/// The file's content, decompressed where it begins as gzip, zstd, bzip2 or xz do.
pub fn open_tar(file: impl Read + 'static) -> Result<Box<dyn BufRead>, ferry_store::Error> {
    let mut file = BufReader::with_capacity(128 << 10, file);
    let magic = file.fill_buf().map_err(ferry_store::Error::Input)?;
    if magic.starts_with(b"BZh") {
        return Ok(Box::new(BufReader::new(MultiBzDecoder::new(file))));
    }
    if magic.starts_with(b"\xfd7zXZ\0") {
        let xz = XzReader::new_mem_limit(file, true, XZ_MEMORY_KIB);
        return Ok(Box::new(BufReader::new(xz)));
    }
    Ok(Box::new(BufReader::new(Decompressed::detect(file)?)))
}

/// Whether the checksum of a header is right. Source: POSIX.1-2017 pax, "ustar Header Block".
fn is_header(block: &[u8; BLOCK_LEN]) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let text = std::str::from_utf8(&block[CHECKSUM]).unwrap_or_default();
    let text = text.trim_matches(|c: char| c == '\0' || c == ' ');
    let Ok(stated) = u32::from_str_radix(text, 8) else {
        return false;
    };
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if CHECKSUM.contains(&at) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    sum == stated && block[0] != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// `tar -cJ` of a file `a` that holds `x`.
    const XZ: &[u8] = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x0c\x00\x00\x00\x8f\x98\x41\x9c\xe0\x27\xff\x00\x54\x5d\x00\x30\x80\x33\x50\x18\x68\x89\x82\xed\xa7\x80\x69\xfa\xda\x6d\xf2\xb6\xa6\xdf\x1c\x9e\xfd\x21\xca\x25\x8e\x1a\xde\xa0\x37\x76\x0a\x20\x92\x81\x73\xd3\x66\xf0\x61\xa4\x74\xdf\x02\xd4\x59\x4b\xad\xc3\x5d\xa0\x87\xfc\xff\x7b\xd3\x94\x6f\xc0\x98\xf4\x9d\x9e\x23\x63\x81\xe7\x01\x79\xfa\xbc\xab\xc6\x26\x00\xeb\x3f\xd6\x55\x9c\xca\x1f\x08\x00\x00\x8c\x32\xb7\xa4\x6c\x56\x67\xde\x00\x01\x70\x80\x50\x00\x00\x00\x2c\x66\x9c\xb2\xb1\xc4\x67\xfb\x02\x00\x00\x00\x00\x04\x59\x5a";

    #[test]
    fn archives_are_told_by_their_content() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_cksum();
        builder.append_data(&mut header, "a", &b"x"[..]).unwrap();
        let tar = builder.into_inner().unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar).unwrap();
        let bzip2 = bzip2.finish().unwrap();
        for (bytes, expect) in [
            (bzip2.as_slice(), true),
            (&bzip2[..20], false),
            (XZ, true),
            (&XZ[..40], false),
            (tar.as_slice(), true),
            (b"", false),
            (&[0; 2048], false),
            (&[b'x'; 600], false),
            (&tar[..511], false),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            assert_eq!(is_archive(&file.into()).unwrap(), expect);
        }
    }
}
