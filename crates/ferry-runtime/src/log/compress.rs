//! Compresses a file of a log that was set aside, in a process of its own: output does not wait for it.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use ferry_sys::{
    SingleThreaded,
    descriptors::{Closing, close_from},
    process::{Child, CloneOptions, Forked, Namespaces, ParentOfNew, clone, exit_now},
};
use flate2::{Compression, GzBuilder};
use rustix::{
    fs::{AtFlags, Statx, StatxFlags, statx},
    process::{Signal, WaitId, WaitIdOptions, set_parent_process_death_signal, waitid},
};

/// A process that compresses. Dropped, it is waited for.
#[derive(Debug)]
pub(super) struct Compressor {
    child: Child,
}

impl Compressor {
    /// Begins to put `plain` into `compressed`, which then takes its place. `None` if no process can be had.
    pub(super) fn start(plain: &Path, compressed: &Path) -> Option<Compressor> {
        let proof = SingleThreaded::prove().ok()?;
        let options = CloneOptions {
            namespaces: Namespaces::NONE,
            parent: ParentOfNew::Caller,
            cgroup: None,
        };
        match clone(proof, &options).ok()? {
            Forked::Parent(child) => Some(Compressor { child }),
            Forked::Child => {
                // A half-compressed file is of no use to anyone, and the folder may go with the container.
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                // The container's streams and its clients must not seem to be open because of it.
                let _ = close_from(3, &[], Closing::Now);
                exit_now(i32::from(compress(plain, compressed).is_err()))
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::PidFd(self.child.pidfd.as_fd()), options), Ok(None))
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        let _ = waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED);
    }
}

/// Compresses beside the place and renames, so that a file of that name is whole; then the plain one goes.
fn compress(plain: &Path, compressed: &Path) -> io::Result<()> {
    let mut partial = compressed.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write(plain, &partial).and_then(|()| std::fs::rename(&partial, compressed));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
        return written;
    }
    std::fs::remove_file(plain)
}

/// What a compressed file says of the one that it was made of: the number of its inode, and when it was made.
/// Where the file system does not know that, it is zero.
#[must_use]
pub fn identity(status: &Statx) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&status.stx_ino.to_le_bytes());
    bytes[8..16].copy_from_slice(&status.stx_btime.tv_sec.to_le_bytes());
    bytes[16..].copy_from_slice(&status.stx_btime.tv_nsec.to_le_bytes());
    bytes
}

fn write(plain: &Path, partial: &Path) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(partial)?;
    let mut plain = File::open(plain)?;
    // Whoever follows the log knows by it that he has read this one.
    let status = statx(&plain, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::BTIME)?;
    let mut gzip = GzBuilder::new()
        .extra(identity(&status))
        .write(file, Compression::fast());
    io::copy(&mut plain, &mut gzip)?;
    gzip.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_compressed_file_takes_the_place_of_the_plain_one() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, compressed) = (folder.path().join("log.1"), folder.path().join("log.1.gz"));
        std::fs::write(&plain, "a line\n".repeat(1000)).unwrap();
        compress(&plain, &compressed).unwrap();
        let mut text = String::new();
        let file = File::open(&compressed).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a line\n".repeat(1000));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(compress(&plain, &compressed).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
