//! Progress that is remembered, and clients with short pauses.

use std::sync::Mutex;
use std::time::Duration;

use ferry_oci::Digest;
use ferry_registry::{Client, Config, LayerProgress, Progress, Retry, Timeouts};
use ferry_store::Store;

/// Keeps all progress.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) layers: Mutex<Vec<(Digest, LayerProgress)>>,
    pub(crate) lines: Mutex<Vec<String>>,
}

impl Progress for Recorder {
    fn layer(&self, id: &Digest, state: LayerProgress) {
        self.layers.lock().unwrap().push((*id, state));
    }

    fn status(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }
}

impl Recorder {
    /// The last state of a layer.
    pub(crate) fn last(&self, id: &Digest) -> Option<LayerProgress> {
        let layers = self.layers.lock().unwrap();
        layers
            .iter()
            .rev()
            .find(|(layer, _)| layer == id)
            .map(|(_, state)| *state)
    }

    /// Whether a layer was ever in `state`.
    pub(crate) fn has_seen(&self, id: &Digest, state: LayerProgress) -> bool {
        self.layers.lock().unwrap().contains(&(*id, state))
    }
}

/// Settings with limits that tests can wait for.
pub(crate) fn config() -> Config {
    Config {
        certificate_dirs: Vec::new(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(5),
            stall: Duration::from_millis(700),
        },
        retry: Retry {
            attempts: 4,
            first_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(20),
            max_retry_after: Duration::from_secs(2),
        },
        ..Config::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(config()).unwrap()
}

/// A store of its own, and the folder that it lies in.
pub(crate) fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Store::open(&dir.path().join("store")).unwrap(), dir)
}

/// The files and folders that a store holds, apart from its own frame.
pub(crate) fn contents(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["blobs/sha256", "layers", "snapshots", "images", "tmp"] {
        if let Ok(entries) = std::fs::read_dir(store.root().join(folder)) {
            found.extend(
                entries
                    .flatten()
                    .map(|entry| format!("{folder}/{}", entry.file_name().display())),
            );
        }
    }
    found
}
