//! What happened, told to whoever listens.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use tokio::sync::broadcast;

/// How many events a slow listener may lag behind before it loses the oldest.
const BACKLOG: usize = 1024;

/// Something that happened to a noun. Source: Docker Engine API `SystemEvents`.
#[derive(Debug, Clone)]
pub struct Event {
    /// `container`, `image`, `network`, `volume`, `builder`, `daemon`
    pub noun: &'static str,
    /// `create`, `start`, `die`, …
    pub action: String,
    /// The noun's id.
    pub id: String,
    /// What else describes it: name, image, exit code, labels.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub at: OffsetDateTime,
}

/// Where events are sent and heard.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Events {
    /// Tells everyone who listens; nobody need.
    pub fn send(
        &self,
        noun: &'static str,
        action: impl Into<String>,
        id: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let _ = self.0.send(Event {
            noun,
            action: action.into(),
            id: id.into(),
            attributes,
            at: OffsetDateTime::now_utc(),
        });
    }

    /// Hears all that is sent from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
