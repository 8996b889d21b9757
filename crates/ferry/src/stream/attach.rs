//! Copies between a container's streams and the terminal until one of them ends.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf};

use super::DetachKeys;
use super::detach::{Typed, Watch};
use super::frames::{Frames, Stream};
use crate::failure::{Explain, Failure};

/// How much is read at once (bytes).
const CHUNK: usize = 64 << 10;

/// How output travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A terminal's bytes as they are.
    Raw,
    /// Frames of stdout and stderr.
    Framed,
}

impl Shape {
    /// The shape that a container with or without a terminal has.
    pub(crate) fn of_tty(tty: bool) -> Self {
        if tty { Self::Raw } else { Self::Framed }
    }
}

/// What is connected to what.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// How output travels.
    pub(crate) shape: Shape,
    /// Whether our stdin goes to the container.
    pub(crate) stdin: bool,
    /// Keys that detach; none where stdin is no terminal.
    pub(crate) detach_keys: Option<DetachKeys>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The container's streams are closed.
    Closed,
    /// The detach keys were typed.
    Detached,
    /// Nobody reads our output any more.
    OutputGone,
}

/// Copies until the container closes its streams or the user detaches.
pub(crate) async fn connect(stream: TokioIo<Upgraded>, attachment: Attachment) -> Result<Ending, Failure> {
    let (reader, writer) = tokio::io::split(stream);
    let output = copy_output(reader, attachment.shape);
    if !attachment.stdin {
        let ending = output.await;
        drop(writer);
        return ending;
    }
    let watch = attachment.detach_keys.map(Watch::new);
    tokio::select! {
        ending = output => ending,
        () = copy_input(writer, watch) => Ok(Ending::Detached),
    }
}

/// Copies a container's output to ours until it ends.
pub(crate) async fn copy_output(reader: impl AsyncRead + Unpin, shape: Shape) -> Result<Ending, Failure> {
    match shape {
        Shape::Raw => copy_raw(reader).await,
        Shape::Framed => copy_framed(reader).await,
    }
}

async fn copy_raw(mut reader: impl AsyncRead + Unpin) -> Result<Ending, Failure> {
    let mut stdout = tokio::io::stdout();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) if is_end(&error) => 0,
            Err(error) => return Err(error).explain(|| "the container's stream broke"),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok(Ending::Closed);
        }
        if let Some(ending) = put(&mut stdout, piece).await? {
            return Ok(ending);
        }
    }
}

async fn copy_framed(mut reader: impl AsyncRead + Unpin) -> Result<Ending, Failure> {
    let mut output = Output {
        stdout: tokio::io::stdout(),
        stderr: tokio::io::stderr(),
        stream: Stream::Stdout,
        gathered: Vec::new(),
    };
    let mut frames = Frames::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) if is_end(&error) => 0,
            Err(error) => return Err(error).explain(|| "the container's stream broke"),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok(Ending::Closed);
        }
        frames.push(piece);
        while let Some((stream, bytes)) = frames.next().explain(|| "cannot read the container's output")? {
            if stream == Stream::Failure {
                return Err(Failure::new(format!(
                    "the engine gave up the stream: {}",
                    String::from_utf8_lossy(bytes).trim()
                )));
            }
            if let Some(ending) = output.add(stream, bytes).await? {
                return Ok(ending);
            }
        }
        if let Some(ending) = output.write().await? {
            return Ok(ending);
        }
    }
}

/// Our stdout and stderr. Many short frames are one write; what came first on either stream is shown first.
struct Output {
    stdout: tokio::io::Stdout,
    stderr: tokio::io::Stderr,
    /// The stream that what is gathered belongs to.
    stream: Stream,
    gathered: Vec<u8>,
}

impl Output {
    async fn add(&mut self, stream: Stream, bytes: &[u8]) -> Result<Option<Ending>, Failure> {
        let mut ending = None;
        if stream != self.stream {
            ending = self.write().await?;
            self.stream = stream;
        }
        self.gathered.extend_from_slice(bytes);
        Ok(ending)
    }

    async fn write(&mut self) -> Result<Option<Ending>, Failure> {
        if self.gathered.is_empty() {
            return Ok(None);
        }
        let ending = match self.stream {
            Stream::Stderr => put(&mut self.stderr, &self.gathered).await,
            Stream::Stdout | Stream::Failure => put(&mut self.stdout, &self.gathered).await,
        };
        self.gathered.clear();
        ending
    }
}

/// Writes; gives an ending when nobody reads.
async fn put(out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<Option<Ending>, Failure> {
    let mut result = out.write_all(bytes).await;
    if result.is_ok() {
        result = out.flush().await;
    }
    match result {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Some(Ending::OutputGone)),
        Err(error) => Err(error).explain(|| "cannot write the container's output"),
    }
}

/// Copies what is typed; returns when the user detaches. The end of stdin is told to the container and then waited out.
async fn copy_input(mut writer: WriteHalf<TokioIo<Upgraded>>, mut watch: Option<Watch>) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = vec![0; CHUNK];
    // A container that does not read any more still has output: only its end ends the attachment.
    loop {
        let read = stdin.read(&mut buffer).await.unwrap_or(0);
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        let sent = match watch.as_mut().map(|watch| watch.take(piece)) {
            None => writer.write_all(piece).await,
            Some(Typed::Pass(bytes)) => writer.write_all(&bytes).await,
            Some(Typed::Detach(bytes)) => {
                let _ = writer.write_all(&bytes).await;
                let _ = writer.flush().await;
                return;
            }
        };
        if sent.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    let _ = writer.shutdown().await;
    std::future::pending().await
}

/// A peer that ends abruptly has ended.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
    )
}
