//! Telling how a vertex fares.

use std::time::SystemTime;

use crate::{BuildEvent, EventSink, StepOutput, Vertex, VertexId, unique};

/// A vertex that is told about as it begins and ends.
pub(crate) struct Told<'a> {
    events: &'a EventSink,
    vertex: Vertex,
}

/// How a vertex ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// The result was there already.
    Cached,
}

impl<'a> Told<'a> {
    /// Announces a vertex that will run.
    pub(crate) async fn announce(events: &'a EventSink, id: VertexId, name: &str, inputs: Vec<VertexId>) -> Self {
        let told = Self::new(events, id, name, inputs);
        told.send().await;
        told
    }

    /// A vertex of the builder itself, `[internal] …`, that begins now: told once, not as waiting first.
    ///
    /// Its id is no other vertex's: clients show the builds of several targets as one, and would take
    /// two vertices of one id for one that begins again after its end.
    pub(crate) async fn begin_internal(events: &'a EventSink, name: &str) -> Self {
        let mut told = Self::new(events, VertexId::of(unique::name().as_bytes()), name, Vec::new());
        told.begin().await;
        told
    }

    /// The vertex's id.
    pub(crate) fn id(&self) -> VertexId {
        self.vertex.id
    }

    /// It begins now.
    pub(crate) async fn begin(&mut self) {
        self.vertex.started = Some(SystemTime::now());
        self.send().await;
    }

    /// Where its output goes.
    pub(crate) fn output(&self) -> StepOutput {
        StepOutput::new(self.vertex.id, self.events.clone())
    }

    /// It ended well.
    pub(crate) async fn end(mut self, ending: Ending) {
        let now = SystemTime::now();
        self.vertex.started.get_or_insert(now);
        self.vertex.completed = Some(now);
        self.vertex.cached = ending == Ending::Cached;
        self.send().await;
    }

    /// It failed.
    pub(crate) async fn fail(mut self, error: &(dyn std::error::Error + Sync)) {
        let now = SystemTime::now();
        self.vertex.started.get_or_insert(now);
        self.vertex.completed = Some(now);
        self.vertex.error = Some(error.to_string());
        self.send().await;
    }

    /// Ends it as `result` says, and passes the result on.
    pub(crate) async fn settle<T, E: std::error::Error + Sync>(self, result: Result<T, E>) -> Result<T, E> {
        match &result {
            Ok(_) => self.end(Ending::Done).await,
            Err(error) => self.fail(error).await,
        }
        result
    }

    fn new(events: &'a EventSink, id: VertexId, name: &str, inputs: Vec<VertexId>) -> Self {
        Self {
            events,
            vertex: Vertex {
                id,
                name: name.to_owned(),
                inputs,
                started: None,
                completed: None,
                cached: false,
                error: None,
            },
        }
    }

    async fn send(&self) {
        self.events.send(BuildEvent::Vertex(self.vertex.clone())).await;
    }
}
