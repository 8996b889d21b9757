//! Gzip on all cores, with the same bytes on every machine.
//!
//! The stream is cut into pieces of one MiB, and each becomes a gzip member by libdeflate at level 6.
//! Pieces do not depend on the number of threads, and the members' headers carry neither time nor
//! name nor system, so the bytes depend on the input and on libdeflate's version alone; a test pins them.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use libdeflater::{CompressionLvl, Compressor};

/// Uncompressed bytes of a member.
const MEMBER_BYTES: usize = 1 << 20;
/// libdeflate's level.
const LEVEL: i32 = 6;
/// Threads of one stream, at most: more bring nothing, since one thread must read the input.
const MAX_THREADS: usize = 16;

/// Compresses what is written to it into `W`.
pub(super) struct ParallelGzip<W: Write + Send + 'static> {
    piece: Vec<u8>,
    is_empty: bool,
    ends: Option<Ends>,
    output: Option<JoinHandle<io::Result<W>>>,
    workers: Vec<JoinHandle<()>>,
}

struct Ends {
    jobs: SyncSender<Job>,
    members: SyncSender<Receiver<Vec<u8>>>,
}

struct Job {
    piece: Vec<u8>,
    member: SyncSender<Vec<u8>>,
}

impl<W: Write + Send + 'static> ParallelGzip<W> {
    /// Starts the threads.
    pub(super) fn new(output: W) -> io::Result<Self> {
        let threads = std::thread::available_parallelism()
            .map_or(1, NonZeroUsize::get)
            .min(MAX_THREADS);
        let (jobs, jobs_rx) = sync_channel::<Job>(threads);
        let (members, members_rx) = sync_channel(2 * threads);
        let jobs_rx = Arc::new(Mutex::new(jobs_rx));
        let workers = (0..threads)
            .map(|_| {
                let jobs = Arc::clone(&jobs_rx);
                spawn("gzip", move || compress_jobs(&jobs))
            })
            .collect::<io::Result<_>>()?;
        let output = spawn("gzip-output", move || write_members(members_rx, output))?;
        Ok(Self {
            piece: Vec::with_capacity(MEMBER_BYTES),
            is_empty: true,
            ends: Some(Ends { jobs, members }),
            output: Some(output),
            workers,
        })
    }

    /// Waits for the last member and returns the output.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // An empty input must still be a gzip file.
        if !self.piece.is_empty() || self.is_empty {
            self.submit()?;
        }
        self.join()
    }

    fn submit(&mut self) -> io::Result<()> {
        self.is_empty = false;
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(MEMBER_BYTES));
        let (member, member_rx) = sync_channel(1);
        let sent = self
            .ends
            .as_ref()
            .is_some_and(|ends| ends.members.send(member_rx).is_ok() && ends.jobs.send(Job { piece, member }).is_ok());
        if sent {
            return Ok(());
        }
        // The output thread has ended early, and knows why.
        match self.join() {
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn join(&mut self) -> io::Result<W> {
        self.ends = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        match self.output.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<W: Write + Send + 'static> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(MEMBER_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..len]);
        if self.piece.len() == MEMBER_BYTES {
            self.submit()?;
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Drop for ParallelGzip<W> {
    fn drop(&mut self) {
        if self.output.is_some() {
            let _ = self.join();
        }
    }
}

fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(256 << 10)
        .spawn(body)
}

fn compress_jobs(jobs: &Mutex<Receiver<Job>>) {
    let level = CompressionLvl::new(LEVEL).unwrap_or_default();
    let mut compressor = Compressor::new(level);
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { piece, member }) = job else {
            return;
        };
        let mut compressed = vec![0; compressor.gzip_compress_bound(piece.len())];
        // The bound is large enough for any input, so this cannot fail; if it did, the output
        // thread would find the member missing and report it.
        if let Ok(len) = compressor.gzip_compress(&piece, &mut compressed) {
            compressed.truncate(len);
            let _ = member.send(compressed);
        }
    }
}

/// Writes the members in the order in which their pieces came.
fn write_members<W: Write>(members: Receiver<Receiver<Vec<u8>>>, mut output: W) -> io::Result<W> {
    for member in members {
        let member = member.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        output.write_all(&member)?;
    }
    output.flush()?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use ferry_oci::Digest;

    use super::*;

    fn gzip(input: &[u8]) -> Vec<u8> {
        let mut gzip = ParallelGzip::new(Vec::new()).unwrap();
        gzip.write_all(input).unwrap();
        gzip.finish().unwrap()
    }

    /// Text-like bytes that compress, the same on every machine.
    fn sample(len: usize) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        (0..len)
            .map(|index| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                if index % 7 < 3 {
                    (state % 23) as u8 + b'a'
                } else {
                    (index % 61) as u8
                }
            })
            .collect()
    }

    #[test]
    fn members_unpack_to_the_input() {
        for len in [0, 1, MEMBER_BYTES - 1, MEMBER_BYTES, 3 * MEMBER_BYTES + 5] {
            let input = sample(len);
            let mut output = Vec::new();
            flate2::read::MultiGzDecoder::new(&gzip(&input)[..])
                .read_to_end(&mut output)
                .unwrap();
            assert!(output == input, "{len}");
        }
    }

    /// A change here means that every image that Ferry builds gets another digest.
    #[test]
    fn the_compressor_is_pinned() {
        let digest = Digest::of(&gzip(&sample(3 * MEMBER_BYTES + 12_345)));
        assert_eq!(
            digest.to_string(),
            "sha256:ac012b680ef36679d71139afe362ef836fd853e17036e1d4b1a28b5d8d57a2b8"
        );
    }

    #[test]
    fn a_failing_output_is_reported() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = ParallelGzip::new(Full).unwrap();
        let written = (0..100)
            .try_for_each(|_| gzip.write_all(&sample(MEMBER_BYTES)))
            .and_then(|()| gzip.finish().map(drop));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
