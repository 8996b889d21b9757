//! A process's output as its monitor frames it, told to a build's watchers.

use std::io;
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use ferry_build::{OutputStream, StepOutput};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Largest piece that is passed on at once, in bytes.
const PIECE_BYTES: usize = 32 << 10;
/// Stream, three zero bytes, length as big-endian u32. Source: Docker Engine API `ContainerAttach`.
const HEADER_BYTES: usize = 8;

/// Passes on all output of a process that was attached to by `stream`, until it ends.
pub(super) async fn relay(stream: UnixStream, output: &StepOutput) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let stream = tokio::net::UnixStream::from_std(stream)?;
    relay_frames(stream, output).await
}

async fn relay_frames(mut stream: impl AsyncRead + Unpin, output: &StepOutput) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    loop {
        match stream.read_exact(&mut header).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let [kind, _, _, _, length @ ..] = header;
        let kind = if kind == OutputStream::Stderr as u8 {
            OutputStream::Stderr
        } else {
            OutputStream::Stdout
        };
        let mut left = u32::from_be_bytes(length) as usize;
        while left > 0 {
            let mut piece = vec![0; left.min(PIECE_BYTES)];
            stream.read_exact(&mut piece).await?;
            left -= piece.len();
            output.write(kind, Bytes::from(piece)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use ferry_build::{BuildEvent, EventSink};
    use ferry_oci::Digest;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn frames_become_pieces_of_their_stream() {
        let (sender, mut events) = mpsc::channel(64);
        let output = StepOutput::new(Digest::of(b"step"), EventSink::new(sender));
        let mut frames = vec![1, 0, 0, 0, 0, 0, 0, 2, b'h', b'i', 2, 0, 0, 0, 0, 0, 0, 0];
        let large = vec![b'x'; PIECE_BYTES + 1];
        frames.extend([2, 0, 0, 0]);
        frames.extend((large.len() as u32).to_be_bytes());
        frames.extend(&large);
        relay_frames(frames.as_slice(), &output).await.expect("frames");
        drop(output);
        let mut seen = Vec::new();
        while let Some(BuildEvent::Log(log)) = events.recv().await {
            seen.push((log.stream, log.data.len()));
        }
        assert_eq!(
            seen,
            [
                (OutputStream::Stdout, 2),
                (OutputStream::Stderr, PIECE_BYTES),
                (OutputStream::Stderr, 1)
            ]
        );
    }

    #[tokio::test]
    async fn a_frame_that_is_cut_off_is_an_error() {
        let output = StepOutput::new(Digest::of(b"step"), EventSink::discard());
        let cut = [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, b'x'];
        assert!(relay_frames(&cut[..], &output).await.is_err());
        assert!(relay_frames(&cut[..3], &output).await.is_ok());
    }
}
