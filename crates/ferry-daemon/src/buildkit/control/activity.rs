//! What the protocol itself adds to a build's progress: files that were received, names that were given.

use std::sync::Arc;
use std::time::SystemTime;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexStatus};
use ferry_oci::Digest;
use tonic::Status;

use super::progress::Progress;
use super::status::timestamp;

/// Where additions to one build's progress are told.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    progress: Arc<Progress>,
}

/// A step that is under way. Dropped without a word, it has been cancelled.
#[derive(Debug)]
pub(super) struct Step {
    progress: Arc<Progress>,
    vertex: Vertex,
}

impl Activity {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// Tells how much of the client's files came, as part of the builder's step of that name; without
    /// such a step nobody wants to know.
    pub(crate) fn transferred(&self, step: &str, bytes: u64) {
        let Some(vertex) = self.progress.vertex_named(step) else {
            return;
        };
        self.progress.push(part(&vertex, "transferring context:", bytes));
    }

    /// Begins a step.
    pub(super) fn begin(&self, name: String) -> Step {
        let started = SystemTime::now();
        // Steps of one name may come up more than once in a build: the time sets them apart.
        let id = Digest::of(format!("{name}\0{started:?}").as_bytes());
        let step = Step {
            progress: Arc::clone(&self.progress),
            vertex: Vertex {
                digest: id.to_string(),
                name,
                started: Some(timestamp(started)),
                ..Vertex::default()
            },
        };
        step.tell();
        step
    }
}

impl Step {
    /// Notes something that was done as part of the step.
    pub(super) fn did(&self, what: &str) {
        self.progress.push(part(&self.vertex, what, 0));
    }

    /// Notes how far a part of the step is.
    pub(super) fn progresses(&self, what: &str, done_bytes: u64, total_bytes: u64) {
        let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let mut message = part(&self.vertex, what, done_bytes);
        for status in &mut message.statuses {
            status.total = bytes(total_bytes);
            status.completed = None;
        }
        self.progress.push(message);
    }

    /// Ends it as `outcome` says, which is passed on.
    pub(super) fn end<T>(mut self, outcome: Result<T, Status>) -> Result<T, Status> {
        self.vertex.completed = now();
        if let Err(status) = &outcome {
            self.vertex.error = status.message().to_owned();
        }
        self.tell();
        outcome
    }

    fn tell(&self) {
        self.progress.push(StatusResponse {
            vertexes: vec![self.vertex.clone()],
            ..StatusResponse::default()
        });
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.vertex.completed.is_none() {
            self.vertex.completed = now();
            self.vertex.error = "context canceled".to_owned();
            self.tell();
        }
    }
}

/// A part of `vertex` that is complete.
fn part(vertex: &Vertex, name: &str, bytes: u64) -> StatusResponse {
    let status = VertexStatus {
        id: name.to_owned(),
        name: name.to_owned(),
        vertex: vertex.digest.clone(),
        current: i64::try_from(bytes).unwrap_or(i64::MAX),
        timestamp: now(),
        started: vertex.started,
        completed: now(),
        ..VertexStatus::default()
    };
    StatusResponse {
        statuses: vec![status],
        ..StatusResponse::default()
    }
}

fn now() -> Option<Timestamp> {
    Some(timestamp(SystemTime::now()))
}
