//! Tells whether a file is a tar archive, perhaps compressed, as ADD does: by looking into it.

use std::io::{self, BufReader, Read, Seek};
use std::os::fd::OwnedFd;

use ferry_store::layer::Decompressed;

/// A tar's block; its header is the first.
const BLOCK_LEN: usize = 512;

/// Whether the file holds at least one tar header after decompression.
pub(crate) fn is_archive(file: &OwnedFd) -> io::Result<bool> {
    let mut file = std::fs::File::from(file.try_clone()?);
    let found = Decompressed::detect(BufReader::new(&file))
        .ok()
        .and_then(|mut tar| {
            let mut header = [0; BLOCK_LEN];
            tar.read_exact(&mut header).ok()?;
            Some(header)
        })
        .is_some_and(|header| is_header(&header));
    file.rewind()?;
    Ok(found)
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

    #[test]
    fn archives_are_told_by_their_content() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_cksum();
        builder.append_data(&mut header, "a", &b"x"[..]).unwrap();
        let tar = builder.into_inner().unwrap();
        for (bytes, expect) in [(tar.as_slice(), true), (b"", false), (&[0; 2048], false), (&[b'x'; 600], false), (&tar[..511], false)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            assert_eq!(is_archive(&file.into()).unwrap(), expect);
        }
    }
}
