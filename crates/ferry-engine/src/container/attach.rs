//! Connects a client to a container's standard streams.

use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::{Error, Phase, Terminal};
use crate::Engine;

/// Which streams a client wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// What it writes becomes the process's input.
    pub stdin: bool,
    /// It gets standard output; with a terminal, all output.
    pub stdout: bool,
    /// It gets standard error.
    pub stderr: bool,
}

impl AttachOptions {
    pub(super) fn to_runtime(self) -> ferry_runtime::AttachOptions {
        ferry_runtime::AttachOptions {
            stdin: self.stdin,
            stdout: self.stdout,
            stderr: self.stderr,
        }
    }
}

/// A connection to a container's standard streams.
#[derive(Debug)]
pub struct Attached {
    /// Whether the stream is a terminal's raw bytes; else it consists of Docker's frames.
    pub terminal: Terminal,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    Now(std::os::unix::net::UnixStream),
    AtStart(oneshot::Receiver<std::os::unix::net::UnixStream>),
}

impl Attached {
    /// The stream, once the container runs; `None` if that will not happen.
    pub async fn stream(self) -> Option<UnixStream> {
        let stream = match self.stream {
            Stream::Now(stream) => stream,
            Stream::AtStart(stream) => stream.await.ok()?,
        };
        stream.set_nonblocking(true).ok()?;
        UnixStream::from_std(stream).ok()
    }
}

impl Engine {
    /// Attaches to a container's process, or to the next one when none runs. Docker Engine API
    /// `ContainerAttach`.
    pub async fn attach_container(&self, wanted: &str, options: AttachOptions) -> Result<Attached, Error> {
        let container = self.containers.find(wanted)?;
        // While a start is under way, the client belongs to the process that is being started.
        let _lifecycle = container.lifecycle.lock().await;
        let stream = match container.state().phase {
            Phase::Removed => return Err(Error::BeingRemoved(container.id.to_string())),
            Phase::Restarting => return Err(Error::Restarting(container.id.to_string())),
            Phase::Paused => {
                return Err(Error::Paused {
                    id: container.id.to_string(),
                    wanted: "attach",
                });
            }
            Phase::Running => match container.monitor() {
                Ok(launched) => Stream::Now(launched.monitor().attach(options.to_runtime())?),
                Err(_) => Stream::AtStart(oneshot::channel().1),
            },
            Phase::Created | Phase::Exited => {
                let (client, stream) = oneshot::channel();
                container.live().waiting.push((options, client));
                Stream::AtStart(stream)
            }
        };
        self.events
            .send("container", "attach", container.id.as_str(), container.attributes());
        Ok(Attached {
            terminal: container.config.options.terminal,
            stream,
        })
    }
}
