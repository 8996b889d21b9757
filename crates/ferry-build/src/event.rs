//! What a build tells while it runs: vertices, their progress, their output, warnings; as BuildKit's Status streams it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use ferry_oci::Digest;
use tokio::sync::mpsc::Sender;

use crate::Source;

/// Names one vertex within a build: the digest of what the step is, not of what it gives.
pub type VertexId = Digest;

/// One event; each maps to one message of BuildKit's `StatusResponse`.
#[derive(Debug, Clone)]
pub enum BuildEvent {
    /// A vertex, whole, in its present state; sent again at each change.
    Vertex(Vertex),
    /// Progress of a part of a vertex.
    Status(VertexStatus),
    /// Output of a vertex.
    Log(VertexLog),
    /// Something that is probably not meant.
    Warning(VertexWarning),
}

/// A step of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Its id.
    pub id: VertexId,
    /// `[linux/arm64 build 2/5] RUN make`.
    pub name: String,
    /// What it builds on.
    pub inputs: Vec<VertexId>,
    /// When it began; `None` while it waits.
    pub started: Option<SystemTime>,
    /// When it ended, in success or failure.
    pub completed: Option<SystemTime>,
    /// Whether the result was there already.
    pub cached: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// Progress of a part of a vertex, such as one layer of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexStatus {
    /// The vertex.
    pub vertex: VertexId,
    /// The part; unique within the vertex.
    pub id: String,
    /// Bytes done.
    pub current_bytes: u64,
    /// Bytes in all; 0 when unknown.
    pub total_bytes: u64,
    /// When this was so.
    pub timestamp: SystemTime,
    /// When the part began.
    pub started: Option<SystemTime>,
    /// When the part ended.
    pub completed: Option<SystemTime>,
}

/// Which stream a piece of output was written to. The numbers are BuildKit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// A piece of a vertex's output, as it was written: not split into lines, perhaps not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexLog {
    /// The vertex.
    pub vertex: VertexId,
    /// Which stream.
    pub stream: OutputStream,
    /// What was written.
    pub data: Bytes,
    /// When it arrived.
    pub timestamp: SystemTime,
}

/// Something that is probably not meant; the build goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexWarning {
    /// The vertex it belongs to.
    pub vertex: VertexId,
    /// One line: what is odd.
    pub short: String,
    /// More about it, line by line.
    pub detail: Vec<String>,
    /// Where to read about it.
    pub url: Option<String>,
    /// The lines that are meant.
    pub source: Option<Source>,
}

/// The sending end of a build's events; cheap to clone. A vanished receiver is no error.
#[derive(Debug, Clone)]
pub struct EventSink {
    sender: Option<Sender<BuildEvent>>,
}

impl EventSink {
    /// Events to `sender`. A full channel makes the build wait, so its bound is the memory that a slow reader costs.
    pub fn new(sender: Sender<BuildEvent>) -> Self {
        Self { sender: Some(sender) }
    }

    /// Events to nobody.
    pub fn discard() -> Self {
        Self { sender: None }
    }

    /// Sends one event.
    pub async fn send(&self, event: BuildEvent) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(event).await;
        }
    }
}

/// Where a running step's output goes: the port's implementation writes each piece as it arrives.
#[derive(Debug, Clone)]
pub struct StepOutput {
    vertex: VertexId,
    events: Arc<EventSink>,
}

impl StepOutput {
    /// Output of `vertex` to `events`.
    pub fn new(vertex: VertexId, events: EventSink) -> Self {
        Self {
            vertex,
            events: Arc::new(events),
        }
    }

    /// Passes on `data`; waits while the reader is behind.
    pub async fn write(&self, stream: OutputStream, data: Bytes) {
        self.events
            .send(BuildEvent::Log(VertexLog {
                vertex: self.vertex,
                stream,
                data,
                timestamp: SystemTime::now(),
            }))
            .await;
    }

    /// Reports progress of a part of the vertex, such as a layer that is being fetched.
    pub async fn status(&self, id: &str, current_bytes: u64, total_bytes: u64, state: PartState) {
        let now = SystemTime::now();
        self.events
            .send(BuildEvent::Status(VertexStatus {
                vertex: self.vertex,
                id: id.to_owned(),
                current_bytes,
                total_bytes,
                timestamp: now,
                started: Some(now),
                completed: (state == PartState::Complete).then_some(now),
            }))
            .await;
    }
}

/// Whether a part of a vertex goes on or is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// More will come.
    Running,
    /// This was the last report.
    Complete,
}
