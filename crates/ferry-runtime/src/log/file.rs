//! A file that is set aside when it is full, and forgotten when there are too many.

use std::{
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, fstat, openat, renameat, unlinkat},
    io::{Errno, retry_on_intr, write},
};

use super::compress::Compressor;

/// The current file and how far it may grow.
#[derive(Debug)]
pub(super) struct RotatingFile {
    file: OwnedFd,
    path: PathBuf,
    size_bytes: u64,
    max_size_bytes: Option<u64>,
    max_files: u32,
    aside: Aside,
    compressor: Option<Compressor>,
}

/// What becomes of a file that is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    Plain,
    Compressed,
}

/// Endings of the names of files that were set aside; both kinds may be there after a killed compressor.
const ENDINGS: [&str; 2] = ["", ".gz"];

impl RotatingFile {
    /// Opens the file for appending, creating it 0640.
    pub(super) fn open(
        path: &Path,
        max_size_bytes: Option<u64>,
        max_files: u32,
        aside: Aside,
    ) -> Result<RotatingFile, Errno> {
        let file = open(path, OFlags::empty())?;
        let size_bytes = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
        let path = path.to_owned();
        Ok(RotatingFile {
            file,
            path,
            size_bytes,
            max_size_bytes,
            max_files: max_files.max(1),
            aside,
            compressor: None,
        })
    }

    /// Appends whole lines. No file grows past its limit, except by a single line that is longer.
    pub(super) fn append(&mut self, mut lines: &[u8]) -> Result<(), Errno> {
        while !lines.is_empty() {
            let fitting = self.fitting(lines);
            if fitting == 0 {
                self.rotate()?;
                continue;
            }
            let (now, later) = lines.split_at(fitting);
            self.write(now)?;
            lines = later;
        }
        Ok(())
    }

    /// How many bytes, in whole lines, fit; 0 if none do and the file has something in it.
    fn fitting(&self, lines: &[u8]) -> usize {
        let Some(max) = self.max_size_bytes else {
            return lines.len();
        };
        let room = usize::try_from(max.saturating_sub(self.size_bytes)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        let newline = |byte: &u8| *byte == b'\n';
        let whole = lines[..room].iter().rposition(newline).map_or(0, |at| at + 1);
        match (whole, self.size_bytes) {
            (0, 0) => lines.iter().position(newline).map_or(lines.len(), |at| at + 1),
            (whole, _) => whole,
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let written = retry_on_intr(|| write(&self.file, bytes))?;
            self.size_bytes += written as u64;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Takes notice of a compressor that has ended.
    pub(super) fn rest(&mut self) {
        if self.compressor.as_ref().is_some_and(Compressor::has_ended) {
            self.compressor = None;
        }
    }

    fn rotate(&mut self) -> Result<(), Errno> {
        // Its file gets another name now. Whoever writes faster than it compresses waits.
        self.compressor = None;
        for number in (2..self.max_files).rev() {
            for ending in ENDINGS {
                remove(&self.set_aside(number, ending))?;
            }
            for ending in ENDINGS {
                rename(&self.set_aside(number - 1, ending), &self.set_aside(number, ending))?;
            }
        }
        if self.max_files == 1 {
            remove(&self.path)?;
        } else {
            for ending in ENDINGS {
                remove(&self.set_aside(1, ending))?;
            }
            let first = self.set_aside(1, "");
            rename(&self.path, &first)?;
            if self.aside == Aside::Compressed {
                // Without one it stays as it is, and is read so.
                self.compressor = Compressor::start(&first, &self.set_aside(1, ".gz"));
            }
        }
        // A new file in any case, so that whoever follows the old one reads it to its end.
        self.file = open(&self.path, OFlags::TRUNC)?;
        self.size_bytes = 0;
        Ok(())
    }

    fn set_aside(&self, number: u32, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}{ending}"));
        PathBuf::from(name)
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat(CWD, from, CWD, to) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn remove(path: &Path) -> Result<(), Errno> {
    match unlinkat(CWD, path, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open(path: &Path, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | more;
    openat(CWD, path, flags, Mode::from_raw_mode(0o640))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max_size_bytes: Option<u64>, max_files: u32, appends: &[&str], want: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut file = RotatingFile::open(&path, max_size_bytes, max_files, Aside::Plain).unwrap();
        for lines in appends {
            file.append(lines.as_bytes()).unwrap();
        }
        let mut got = vec![std::fs::read_to_string(&path).unwrap()];
        for number in 1.. {
            match std::fs::read_to_string(file.set_aside(number, "")) {
                Ok(text) => got.push(text),
                Err(_) => break,
            }
        }
        assert_eq!(got, want);
    }

    #[test]
    fn files_rotate_at_whole_lines() {
        check(None, 1, &["aaa\n", "bbb\nccc\n"], &["aaa\nbbb\nccc\n"]);
        check(
            Some(8),
            3,
            &["aaa\nbbb\nccc\nddd\neee\n"],
            &["eee\n", "ccc\nddd\n", "aaa\nbbb\n"],
        );
        check(Some(8), 2, &["aaa\nbbb\nccc\nddd\neee\n"], &["eee\n", "ccc\nddd\n"]);
        check(Some(8), 1, &["aaa\nbbb\nccc\nddd\neee\n"], &["eee\n"]);
        check(Some(9), 0, &["aaa\nbbb\nccc\n"], &["ccc\n"]);
    }

    #[test]
    fn a_line_longer_than_a_file_gets_one_of_its_own() {
        check(
            Some(4),
            3,
            &["a\n", "longer line\n", "b\n"],
            &["b\n", "longer line\n", "a\n"],
        );
    }

    #[test]
    fn an_existing_file_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        RotatingFile::open(&path, Some(8), 2, Aside::Plain)
            .unwrap()
            .append(b"aaa\n")
            .unwrap();
        let mut file = RotatingFile::open(&path, Some(8), 2, Aside::Plain).unwrap();
        file.append(b"bbb\nccc\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ccc\n");
        assert_eq!(std::fs::read_to_string(file.set_aside(1, "")).unwrap(), "aaa\nbbb\n");
    }
}
