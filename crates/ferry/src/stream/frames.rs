//! Docker's frames: stdout and stderr of a container on one connection (Docker Engine API, ContainerAttach, "Stream format").

/// Length of a frame's head (bytes): stream, three zeros, length as big-endian u32.
const HEAD: usize = 8;

/// Which of the process's streams a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
    /// The engine reports that the stream broke.
    Failure,
}

/// A frame that no engine sends.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the engine's stream is not framed: unknown stream number {0}")]
pub(crate) struct InvalidFrame(u8);

/// Takes bytes in pieces of any size and gives out pieces of streams.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// How much of the buffer was given out.
    at: usize,
    /// The frame that is being read: its stream and what is missing of it (bytes).
    current: Option<(Stream, usize)>,
}

impl Frames {
    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, which may be a part of a frame: long frames are not collected.
    pub(super) fn next(&mut self) -> Result<Option<(Stream, &[u8])>, InvalidFrame> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if let Some((stream, missing)) = self.current {
                if missing == 0 {
                    self.current = None;
                    continue;
                }
                if rest.is_empty() {
                    return Ok(None);
                }
                let piece = &rest[..missing.min(rest.len())];
                self.current = Some((stream, missing - piece.len()));
                self.at += piece.len();
                return Ok(Some((stream, piece)));
            }
            let Some((head, _)) = rest.split_first_chunk::<HEAD>() else {
                return Ok(None);
            };
            let [kind, _, _, _, length @ ..] = *head;
            let stream = match kind {
                0 | 1 => Stream::Stdout,
                2 => Stream::Stderr,
                3 => Stream::Failure,
                other => return Err(InvalidFrame(other)),
            };
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            self.at += HEAD;
            self.current = Some((stream, length));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut frames = Frames::default();
        for piece in pieces {
            frames.push(piece);
            while let Some((stream, bytes)) = frames.next().expect("frames") {
                match stream {
                    Stream::Stdout => out.extend_from_slice(bytes),
                    Stream::Stderr | Stream::Failure => err.extend_from_slice(bytes),
                }
            }
        }
        (out, err)
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let wire = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        let expected = (b"hi!".to_vec(), b"err".to_vec());
        assert_eq!(all(&[wire]), expected);
        for at in 0..wire.len() {
            let (left, right) = wire.split_at(at);
            assert_eq!(all(&[left, right]), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(all(&bytes), expected);
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let mut frames = Frames::default();
        frames.push(b"hello world");
        assert_eq!(frames.next(), Err(InvalidFrame(b'h')));
    }
}
