//! Progress of a pull or a push as Docker's messages.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bollard_stubs::models::{CreateImageInfo, ProgressDetail};
use ferry_oci::Digest;
use ferry_registry::{LayerProgress, Progress};

use crate::json_stream::Messages;

/// Which way layers go: the same states have other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From a registry.
    Pull,
    /// To a registry.
    Push,
}

/// Tells a client how a transfer goes.
pub(super) struct Transfer {
    messages: Messages,
    direction: Direction,
    /// What is said before the first layer.
    opening: CreateImageInfo,
    seen: Mutex<HashSet<Digest>>,
}

impl Transfer {
    /// Tells by `messages`; `opening` is said before the first layer.
    pub(super) fn new(messages: Messages, direction: Direction, opening: CreateImageInfo) -> Self {
        Self {
            messages,
            direction,
            opening,
            seen: Mutex::default(),
        }
    }

    /// Says the opening if no layer did.
    pub(super) fn open(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_empty() {
            self.messages.offer(&self.opening);
            seen.insert(Digest::of(&[]));
        }
    }

    /// Whether a layer is new, in which case Docker's clients expect a word about it first.
    fn is_new(&self, id: &Digest) -> bool {
        self.open();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(*id)
    }
}

impl Progress for Transfer {
    fn layer(&self, id: &Digest, state: LayerProgress) {
        let first_words = match self.direction {
            Direction::Pull => "Pulling fs layer",
            Direction::Push => "Preparing",
        };
        if self.is_new(id) && state != LayerProgress::AlreadyExists {
            self.messages.offer(&message(id, first_words, None));
        }
        let (words, detail) = match (state, self.direction) {
            (LayerProgress::Waiting, _) => ("Waiting", None),
            (LayerProgress::Downloading { done, total }, _) => ("Downloading", Some((done, total))),
            (LayerProgress::Pushing { done, total }, _) => ("Pushing", Some((done, total))),
            (LayerProgress::Extracting, _) => ("Extracting", None),
            (LayerProgress::AlreadyExists, Direction::Pull) => ("Already exists", None),
            (LayerProgress::AlreadyExists, Direction::Push) => ("Layer already exists", None),
            (LayerProgress::Complete, Direction::Pull) => ("Pull complete", None),
            (LayerProgress::Complete, Direction::Push) => ("Pushed", None),
            (LayerProgress::Mounted, _) => ("Mounted from another repository", None),
            (LayerProgress::Retrying, _) => ("Retrying", None),
        };
        self.messages.offer(&message(id, words, detail));
    }

    fn status(&self, _text: &str) {}
}

/// A line about the whole.
pub(super) fn line(id: Option<&str>, status: impl Into<String>) -> CreateImageInfo {
    CreateImageInfo {
        id: id.map(str::to_owned),
        status: Some(status.into()),
        ..CreateImageInfo::default()
    }
}

fn message(id: &Digest, status: &str, detail: Option<(u64, u64)>) -> CreateImageInfo {
    let bytes = |count: u64| Some(i64::try_from(count).unwrap_or(i64::MAX));
    let detail = detail.map_or_else(ProgressDetail::default, |(current, total)| ProgressDetail {
        current: bytes(current),
        total: bytes(total),
    });
    CreateImageInfo {
        progress_detail: Some(detail),
        ..line(Some(&id.short()), status)
    }
}
