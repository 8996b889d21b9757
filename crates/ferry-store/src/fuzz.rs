//! What fuzzers feed: archives from registries, clients and files.

use std::fs;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::layer::{Decompressed, Whiteouts, unpack};
use crate::tar::read::TarReader;
use crate::{Limits, Store, archive};

/// Small enough that an input's only way to take long is a fault.
const LIMITS: Limits = Limits {
    entries: 1_000,
    unpacked_bytes: 1 << 20,
    compression_ratio: 2_000,
    path_bytes: 4_095,
    path_depth: 64,
    directory_bytes: 1 << 16,
};

/// `data` with the right checksum in each block that looks like a header: no input would get past it by chance.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut tar = data.to_vec();
    for block in tar
        .chunks_exact_mut(512)
        .filter(|block| block[257..].starts_with(b"ustar"))
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// Headers and data of a tar; the data is passed over, then read.
pub fn tar(data: &[u8]) {
    let data = with_checksums(data);
    let mut reader = TarReader::new(data.as_slice());
    while let Ok(Some(_)) = reader.next() {}
    let mut reader = TarReader::new(data.as_slice());
    while let Ok(Some(header)) = reader.next() {
        assert!(header.metadata.mode <= 0o7777);
        while let Ok(piece) = reader.data() {
            let len = piece.len();
            if len == 0 {
                break;
            }
            reader.consume(len);
        }
    }
}

/// A layer or an archive of ADD or cp, compressed or not, unpacked below `folder`, which is empty. The first bits of
/// the input say what it is. Nothing outside of the top may change.
pub fn layer(data: &[u8], folder: &Path) {
    let Some((kind, data)) = data.split_first() else { return };
    let whiteouts = if kind & 1 == 0 {
        Whiteouts::Overlay
    } else {
        Whiteouts::Literal
    };
    let (top, outside) = (folder.join("top"), folder.join("outside"));
    fs::create_dir(&top).expect("a folder can be made");
    fs::write(&outside, "kept").expect("a file can be written");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&top, flags, Mode::empty()).expect("a folder can be opened");
    if let Ok(tar) = Decompressed::detect(with_checksums(data).as_slice()) {
        let limits = LIMITS;
        let tar = std::io::BufReader::new(std::io::Read::take(tar, 4 << 20));
        let unpacked = if kind & 2 == 0 {
            unpack(tar, opened, whiteouts, &limits).map(drop)
        } else {
            let extraction = archive::Extraction {
                folder: b"a".to_vec(),
                replacing: if kind & 4 == 0 {
                    archive::Replacing::Anything
                } else {
                    archive::Replacing::SameKind
                },
                rename: Some(archive::Rename {
                    from: Vec::new(),
                    to: b"b".to_vec(),
                })
                .filter(|_| kind & 8 == 0),
                ..archive::Extraction::default()
            };
            archive::extract(tar, opened, &extraction, &limits)
        };
        if let Err(error) = unpacked {
            drop(error.to_string());
        }
    }
    assert_eq!(fs::read(&outside).expect("a file can be read"), b"kept");
    assert_eq!(fs::read_dir(folder).expect("a folder can be listed").count(), 2);
}

/// An archive of images, loaded into a store below `folder`, which is empty.
pub fn image_archive(data: &[u8], folder: &Path) {
    let store = Store::open(folder).expect("a store can be made");
    match archive::load(&store, with_checksums(data).as_slice(), &LIMITS) {
        Ok(loaded) => {
            for image in loaded {
                let _ = store.platforms(&image.target);
            }
        }
        Err(error) => drop(error.to_string()),
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("tar", tar);
        replay::replay("layer", |data| layer(data, tempfile::tempdir().unwrap().path()));
        replay::replay("image_archive", |data| {
            image_archive(data, tempfile::tempdir().unwrap().path())
        });
    }
}
