//! Progress of a pull as parts of a build's step.

use std::sync::Mutex;

use ferry_build::{PartState, StepOutput};
use ferry_oci::Digest;
use ferry_registry::{LayerProgress, Progress};
use tokio::sync::mpsc;

/// Reports that wait to be told; further ones are dropped, as later ones say more.
const REPORTS_QUEUED: usize = 64;

/// Takes a pull's progress, from wherever it comes, without waiting.
pub(super) struct Transfer {
    reports: mpsc::Sender<Report>,
    /// Sizes by blob: the last report of a blob does not say its own.
    last: Mutex<std::collections::HashMap<Digest, u64>>,
}

/// The other end, which tells the step's watchers.
pub(super) struct Reports(mpsc::Receiver<Report>);

struct Report {
    id: Digest,
    done_bytes: u64,
    total_bytes: u64,
    state: PartState,
}

impl Transfer {
    /// Both ends. The other end is done when this one is dropped.
    pub(super) fn new() -> (Self, Reports) {
        let (sender, receiver) = mpsc::channel(REPORTS_QUEUED);
        let transfer = Self {
            reports: sender,
            last: Mutex::default(),
        };
        (transfer, Reports(receiver))
    }
}

impl Progress for Transfer {
    fn layer(&self, id: &Digest, state: LayerProgress) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (done_bytes, total_bytes, state) = match state {
            LayerProgress::Downloading { done, total } => {
                last.insert(*id, total);
                (done, total, PartState::Running)
            }
            LayerProgress::Complete => {
                let total = last.get(id).copied().unwrap_or(0);
                (total, total, PartState::Complete)
            }
            // A blob that was there already is no part of what the step did.
            _ => return,
        };
        let _ = self.reports.try_send(Report {
            id: *id,
            done_bytes,
            total_bytes,
            state,
        });
    }

    fn status(&self, _text: &str) {}
}

impl Reports {
    /// Tells what comes, until the other end is dropped.
    pub(super) async fn tell(mut self, output: &StepOutput) {
        while let Some(report) = self.0.recv().await {
            output
                .status(
                    &report.id.to_string(),
                    report.done_bytes,
                    report.total_bytes,
                    report.state,
                )
                .await;
        }
    }
}
