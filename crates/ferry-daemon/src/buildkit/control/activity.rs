//! Steps that the protocol itself adds to a build's progress: receiving files, exporting the result.

use std::sync::Arc;
use std::time::SystemTime;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexStatus};
use ferry_oci::Digest;

use super::progress::Progress;
use super::status::timestamp;

/// Where the steps of one build are told.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    progress: Arc<Progress>,
}

/// A step that is under way. Dropped without a word, it has been cancelled.
#[derive(Debug)]
pub(crate) struct Step {
    progress: Arc<Progress>,
    vertex: Vertex,
}

impl Activity {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// Begins an internal step.
    pub(crate) fn begin(&self, title: &str) -> Step {
        self.start(format!("[internal] {title}"))
    }

    /// Begins the export of the result.
    pub(super) fn begin_export(&self, title: &str) -> Step {
        self.start(title.to_owned())
    }

    fn start(&self, name: String) -> Step {
        let started = SystemTime::now();
        // Steps of one title may come up more than once in a build: the time sets them apart.
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
    /// Notes how much of the client's files crossed the connection.
    pub(crate) fn transferred(&self, bytes: u64) {
        self.part("transferring context:", bytes);
    }

    /// Notes something that was done as part of the step.
    pub(super) fn did(&self, what: &str) {
        self.part(what, 0);
    }

    /// Ends it in success.
    pub(crate) fn complete(mut self) {
        self.vertex.completed = now();
        self.tell();
    }

    /// Ends it in failure.
    pub(crate) fn fail(mut self, error: &dyn std::fmt::Display) {
        self.vertex.completed = now();
        self.vertex.error = error.to_string();
        self.tell();
    }

    fn part(&self, name: &str, bytes: u64) {
        let status = VertexStatus {
            id: name.to_owned(),
            name: name.to_owned(),
            vertex: self.vertex.digest.clone(),
            current: i64::try_from(bytes).unwrap_or(i64::MAX),
            timestamp: now(),
            started: self.vertex.started,
            completed: now(),
            ..VertexStatus::default()
        };
        self.progress.push(StatusResponse {
            statuses: vec![status],
            ..StatusResponse::default()
        });
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

fn now() -> Option<Timestamp> {
    Some(timestamp(SystemTime::now()))
}
