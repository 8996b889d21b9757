//! A log's files: the current one, and those that were set aside when they were full.

use std::fs::File;
use std::io::{ErrorKind, Read, Result, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Statx, StatxFlags};

/// What is read at once, in bytes.
const BLOCK_BYTES: usize = 256 << 10;
/// The longest line; a longer one is damaged. A part of 16 KiB of which each byte is escaped has 96 KiB.
const LINE_MAX_BYTES: usize = 1 << 20;

/// Opens the files of a log, the current one first. One that is set aside meanwhile is not opened twice.
pub(super) fn open_newest_first(path: &Path) -> Result<Vec<LogFile>> {
    let mut files: Vec<LogFile> = Vec::new();
    let mut missing = 0;
    for number in 0.. {
        let name = match number {
            0 => path.to_owned(),
            _ => format!("{}.{number}", path.display()).into(),
        };
        let file = match open(&name) {
            Ok(file) => file,
            // One is away for a moment while they are renamed.
            Err(error) if error.kind() == ErrorKind::NotFound && missing == 0 => {
                missing += 1;
                continue;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        missing = 0;
        if files.last().is_none_or(|newer| newer.identity != file.identity) {
            files.push(file);
        }
    }
    Ok(files)
}

/// Opens a file, which may have been compressed.
fn open(name: &Path) -> Result<LogFile> {
    match File::open(name) {
        Ok(file) => LogFile::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut compressed = name.as_os_str().to_owned();
            compressed.push(".gz");
            match File::open(compressed) {
                Ok(file) => LogFile::compressed(file, name),
                Err(_) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether `path` names another file by now.
pub(super) fn is_another(path: &Path, file: &LogFile) -> bool {
    let named = rustix::fs::statx(CWD, path, AtFlags::empty(), Identity::ASKED);
    named.is_ok_and(|named| Identity::of(&named) != file.identity)
}

/// Which file it is, whatever its name: the number of its inode, and when it was made, for numbers are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity([u8; 20]);

impl Identity {
    const ASKED: StatxFlags = StatxFlags::INO.union(StatxFlags::BTIME);

    fn of(status: &Statx) -> Self {
        Self(ferry_runtime::log_identity(status))
    }
}

/// Whole lines of one file.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    /// The file is compressed, and unpacked in this folder once somebody reads it.
    packed_in: Option<PathBuf>,
    /// Of a compressed file, that of the plain one, which it carries.
    pub(super) identity: Identity,
    /// What was read is `buffer[start..end]`, of which the first `searched` bytes have no line's end.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    searched: usize,
    /// In a line that is too long.
    is_skipping: bool,
}

impl LogFile {
    fn new(file: File) -> Result<Self> {
        let status = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, Identity::ASKED)?;
        Ok(Self {
            identity: Identity::of(&status),
            file,
            packed_in: None,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            searched: 0,
            is_skipping: false,
        })
    }

    fn compressed(file: File, name: &Path) -> Result<Self> {
        let mut log = Self::new(file)?;
        let mut gzip = GzDecoder::new(&log.file);
        // The header is read with the first byte.
        gzip.read_exact(&mut [0])?;
        let extra = gzip.header().and_then(|header| header.extra());
        if let Some(identity) = extra.and_then(|extra| extra.try_into().ok()) {
            log.identity = Identity(identity);
        }
        log.packed_in = name.parent().map(Path::to_owned);
        Ok(log)
    }

    /// Before it is read. What it is unpacked to has no name, and goes with its descriptor.
    fn unpack(&mut self) -> Result<()> {
        let Some(folder) = self.packed_in.take() else {
            return Ok(());
        };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mut plain = File::from(rustix::fs::open(&folder, flags, Mode::RUSR | Mode::WUSR)?);
        self.file.rewind()?;
        std::io::copy(&mut GzDecoder::new(&self.file), &mut plain)?;
        plain.rewind()?;
        self.file = plain;
        Ok(())
    }

    /// The next line with its end; `None` at the file's present end. A half-written line waits for its rest.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            let unsearched = self
                .buffer
                .get(self.start + self.searched..self.end)
                .unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let start = self.start;
                self.start += self.searched + at + 1;
                self.searched = 0;
                if std::mem::take(&mut self.is_skipping) {
                    continue;
                }
                return Ok(self.buffer.get(start..self.start));
            }
            self.searched = self.end - self.start;
            if self.read()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads more behind what there is.
    fn read(&mut self) -> Result<usize> {
        self.unpack()?;
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end > LINE_MAX_BYTES {
            (self.end, self.searched, self.is_skipping) = (0, 0, true);
        }
        if self.buffer.len() < self.end + BLOCK_BYTES {
            self.buffer.resize(self.end + BLOCK_BYTES, 0);
        }
        let read = self.file.read(&mut self.buffer[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// Moves to where the last `count` lines that `is_wanted` begin, or to the beginning if there are fewer; says how
    /// many there are.
    pub(super) fn seek_back(&mut self, count: usize, mut is_wanted: impl FnMut(&[u8]) -> bool) -> Result<usize> {
        self.unpack()?;
        let mut found = 0;
        let mut end = self.file.metadata()?.len();
        let mut block = BLOCK_BYTES;
        let mut buffer = Vec::new();
        while found < count && end > 0 {
            let start = end.saturating_sub(block as u64);
            buffer.resize(usize::try_from(end - start).unwrap_or(block), 0);
            self.file.read_exact_at(&mut buffer, start)?;
            // The line that the block begins in is whole in the next block.
            let first = match memchr::memchr(b'\n', &buffer) {
                _ if start == 0 => 0,
                Some(at) if at + 1 < buffer.len() => at + 1,
                _ if block < 2 * LINE_MAX_BYTES => {
                    block *= 2;
                    continue;
                }
                _ => {
                    end = start;
                    continue;
                }
            };
            let mut lines = buffer.get(first..).unwrap_or_default();
            while found < count && !lines.is_empty() {
                let whole = lines.strip_suffix(b"\n");
                let begin = memchr::memrchr(b'\n', whole.unwrap_or(lines)).map_or(0, |at| at + 1);
                // A half-written line has no end yet.
                if whole.is_some() && is_wanted(lines.get(begin..).unwrap_or_default()) {
                    found += 1;
                }
                lines = lines.get(..begin).unwrap_or_default();
            }
            end = start + (first + lines.len()) as u64;
            block = BLOCK_BYTES;
        }
        std::io::Seek::seek(&mut self.file, std::io::SeekFrom::Start(end))?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(file: &mut LogFile) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = file.next().unwrap() {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        lines
    }

    fn file(content: &[u8]) -> (tempfile::NamedTempFile, LogFile) {
        let named = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(named.path(), content).unwrap();
        let log = LogFile::new(File::open(named.path()).unwrap()).unwrap();
        (named, log)
    }

    #[test]
    fn a_half_written_line_waits_for_its_rest() {
        let (named, mut log) = file(b"a\nbb\nhal");
        assert_eq!(rest(&mut log), ["a\n", "bb\n"]);
        std::fs::write(named.path(), b"a\nbb\nhalf\nc\n").unwrap();
        assert_eq!(rest(&mut log), ["half\n", "c\n"]);
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let mut content = vec![b'x'; 3 * LINE_MAX_BYTES];
        content.extend(b"\nnext\n");
        let (_named, mut log) = file(&content);
        assert_eq!(rest(&mut log), ["next\n"]);
        assert!(log.buffer.len() <= 2 * LINE_MAX_BYTES);
        assert_eq!(log.seek_back(5, |line| line.len() < LINE_MAX_BYTES).unwrap(), 1);
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let all: Vec<String> = (0..100_000).map(|number| format!("line {number}\n")).collect();
        let content = all.concat() + "half";
        for count in [0, 1, 2, 1000, 99_999, 100_000, 200_000] {
            let (_named, mut log) = file(content.as_bytes());
            let found = log.seek_back(count, |_| true).unwrap();
            assert_eq!(found, count.min(all.len()));
            assert_eq!(rest(&mut log), all[all.len() - found..]);
        }
        let (_named, mut log) = file(content.as_bytes());
        assert_eq!(log.seek_back(2, |line| line.ends_with(b"000\n")).unwrap(), 2);
        assert_eq!(rest(&mut log)[0], "line 98000\n");
        assert_eq!(file(b"").1.seek_back(3, |_| true).unwrap(), 0);
        assert_eq!(file(b"\n\n").1.seek_back(1, |line| line == b"\n").unwrap(), 1);
    }

    #[test]
    fn compressed_files_read_as_plain_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "new\n").unwrap();
        let file = File::create(dir.path().join("log.1.gz")).unwrap();
        let builder = flate2::GzBuilder::new().extra([7; 20]);
        let mut gzip = builder.write(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, b"old\nolder\n").unwrap();
        gzip.finish().unwrap();
        let mut files = open_newest_first(&path).unwrap();
        assert_eq!((files.len(), files[1].identity), (2, Identity([7; 20])));
        assert_eq!(files[1].seek_back(1, |_| true).unwrap(), 1);
        assert_eq!(rest(&mut files[1]), ["older\n"]);
        assert_eq!(rest(&mut open_newest_first(&path).unwrap()[1]), ["old\n", "older\n"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn rotated_files_come_after_the_current_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for name in ["log", "log.1", "log.2", "log.5"] {
            std::fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
        }
        let names = || -> Vec<String> {
            let files = open_newest_first(&path).unwrap();
            files.into_iter().flat_map(|mut file| rest(&mut file)).collect()
        };
        assert_eq!(names(), ["log\n", "log.1\n", "log.2\n"]);
        // As it is for a moment while the current file is set aside.
        std::fs::remove_file(&path).unwrap();
        assert_eq!(names(), ["log.1\n", "log.2\n"]);
        std::fs::hard_link(dir.path().join("log.1"), &path).unwrap();
        assert_eq!(names(), ["log.1\n", "log.2\n"]);
    }
}
