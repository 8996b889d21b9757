//! Counts the bytes of one blob and reports them, a few times per second.

use std::time::{Duration, Instant};

use ferry_oci::Digest;

use crate::{LayerProgress, Progress};

/// Reports come no closer than this.
const INTERVAL: Duration = Duration::from_millis(100);

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Download,
    Upload,
}

/// The progress of one blob.
pub(crate) struct Meter<'a> {
    progress: &'a dyn Progress,
    id: Digest,
    total: u64,
    direction: Direction,
    reported: Option<Instant>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: &'a dyn Progress, id: Digest, total: u64, direction: Direction) -> Self {
        Self {
            progress,
            id,
            total,
            direction,
            reported: None,
        }
    }

    /// `done` bytes so far; reported when it is time, at the beginning and at the end.
    pub(crate) fn at(&mut self, done: u64) {
        let is_due = self.reported.is_none_or(|at| at.elapsed() >= INTERVAL) || done >= self.total;
        if is_due {
            self.reported = Some(Instant::now());
            self.progress.layer(
                &self.id,
                match self.direction {
                    Direction::Download => LayerProgress::Downloading {
                        done,
                        total: self.total,
                    },
                    Direction::Upload => LayerProgress::Pushing {
                        done,
                        total: self.total,
                    },
                },
            );
        }
    }

    /// Any other state.
    pub(crate) fn state(&mut self, state: LayerProgress) {
        self.reported = None;
        self.progress.layer(&self.id, state);
    }
}
