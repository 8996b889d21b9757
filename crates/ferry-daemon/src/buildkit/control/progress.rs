//! What a build tells, kept for every client that wants to watch it, early or late.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};
use futures_util::{Stream, stream};
use prost::Message;
use tokio::sync::Notify;

/// What is kept for clients that come late or read slowly; older output is clipped.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The progress of one build. Writing never waits for a reader.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Every vertex in its present state, in the order they came up.
    vertices: Vec<Vertex>,
    places: HashMap<String, usize>,
    kept: VecDeque<Arc<StatusResponse>>,
    kept_bytes: usize,
    /// Messages that were dropped from the front of `kept`.
    dropped: u64,
    complete: bool,
}

impl Progress {
    /// Adds a message.
    pub(super) fn push(&self, message: StatusResponse) {
        let mut state = self.lock();
        for vertex in &message.vertexes {
            state.note(vertex);
        }
        state.kept_bytes += message.encoded_len();
        state.kept.push_back(Arc::new(message));
        while state.kept_bytes > MAX_KEPT_BYTES
            && let Some(old) = state.kept.pop_front()
        {
            state.kept_bytes -= old.encoded_len();
            state.dropped += 1;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The newest step of this name.
    pub(super) fn vertex_named(&self, name: &str) -> Option<Vertex> {
        let state = self.lock();
        state.vertices.iter().rev().find(|vertex| vertex.name == name).cloned()
    }

    /// Says that nothing will be added.
    pub(super) fn complete(&self) {
        self.lock().complete = true;
        self.changed.notify_waiters();
    }

    /// Everything from the beginning, then what comes, until the build is complete.
    ///
    /// A reader that fell behind what is kept gets every vertex as it is now, and a note among the output.
    pub(super) fn watch(self: Arc<Self>) -> impl Stream<Item = StatusResponse> + Send {
        stream::unfold((self, 0_u64), |(progress, seen)| async move {
            let (message, seen) = progress.next(seen).await?;
            Some((message, (progress, seen)))
        })
    }

    /// The message after the first `seen`, and how many have been seen with it.
    async fn next(&self, seen: u64) -> Option<(StatusResponse, u64)> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.lock();
                if seen < state.dropped {
                    return Some((state.catch_up(), state.dropped));
                }
                let place = usize::try_from(seen - state.dropped).ok()?;
                if let Some(message) = state.kept.get(place) {
                    return Some((StatusResponse::clone(message), seen + 1));
                }
                if state.complete {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, vertex: &Vertex) {
        match self.places.get(&vertex.digest) {
            Some(place) => {
                if let Some(known) = self.vertices.get_mut(*place) {
                    known.clone_from(vertex);
                }
            }
            None => {
                self.places.insert(vertex.digest.clone(), self.vertices.len());
                self.vertices.push(vertex.clone());
            }
        }
    }

    fn catch_up(&self) -> StatusResponse {
        let running = self
            .vertices
            .iter()
            .find(|vertex| vertex.started.is_some() && vertex.completed.is_none());
        let note = running.map(|vertex| VertexLog {
            vertex: vertex.digest.clone(),
            timestamp: vertex.started,
            stream: 2,
            msg: b"[output clipped: it came faster than it was read]\n".to_vec(),
        });
        StatusResponse {
            vertexes: self.vertices.clone(),
            logs: note.into_iter().collect(),
            ..StatusResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn vertex(name: &str) -> StatusResponse {
        StatusResponse {
            vertexes: vec![Vertex {
                digest: name.to_owned(),
                name: name.to_owned(),
                ..Vertex::default()
            }],
            ..StatusResponse::default()
        }
    }

    fn log(len: usize) -> StatusResponse {
        StatusResponse {
            logs: vec![VertexLog {
                msg: vec![b'x'; len],
                ..VertexLog::default()
            }],
            ..StatusResponse::default()
        }
    }

    #[tokio::test]
    async fn late_and_early_watchers_see_the_same() {
        let progress = Arc::new(Progress::default());
        let early = Arc::clone(&progress).watch();
        progress.push(vertex("a"));
        progress.push(log(3));
        progress.complete();
        let late = Arc::clone(&progress).watch();
        let early: Vec<_> = early.collect().await;
        let late: Vec<_> = late.collect().await;
        assert_eq!(early, [vertex("a"), log(3)]);
        assert_eq!(late, early);
    }

    #[tokio::test]
    async fn a_flood_is_clipped_but_no_vertex_is_lost() {
        let progress = Arc::new(Progress::default());
        progress.push(vertex("a"));
        for _ in 0..20 {
            progress.push(log(1 << 20));
        }
        progress.push(vertex("b"));
        progress.complete();
        let seen: Vec<_> = Arc::clone(&progress).watch().collect().await;
        assert!(seen.len() < 12, "{}", seen.len());
        let first: Vec<&str> = seen[0].vertexes.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(first, ["a", "b"]);
        assert!(progress.lock().kept_bytes <= MAX_KEPT_BYTES);
    }
}
