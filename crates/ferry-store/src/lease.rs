//! Leases: what is written or looked up while one lives is not collected.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ferry_oci::{DiffId, Digest};

use crate::Store;

/// Keeps content that is added or looked up during its life from being collected.
///
/// It lives in memory: after a crash, what only a lease held is collected like anything else.
#[must_use = "a lease that is dropped at once protects nothing"]
pub struct Lease {
    store: Store,
    since: u64,
}

/// A thing that garbage collection may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Blob(Digest),
    Layer(DiffId),
}

/// Which leases live, and what was touched since the oldest of them.
#[derive(Default)]
pub(crate) struct Protection(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    now: u64,
    /// When each living lease began.
    leases: BTreeSet<u64>,
    touched: HashMap<Key, u64>,
}

impl Lease {
    pub(crate) fn new(store: &Store) -> Self {
        let mut state = store.inner().protection.lock();
        state.now += 1;
        let since = state.now;
        state.leases.insert(since);
        Self {
            store: store.clone(),
            since,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.store.inner().protection.lock();
        state.leases.remove(&self.since);
        match state.leases.first().copied() {
            Some(oldest) => state.touched.retain(|_, at| *at >= oldest),
            None => state.touched.clear(),
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("since", &self.since).finish()
    }
}

impl Protection {
    /// Held while something gets its name or loses it, so that looking up and collecting are ordered.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Protects `key` for all leases that live now.
    pub(crate) fn touch(&mut self, key: Key) {
        if !self.leases.is_empty() {
            self.touched.insert(key, self.now);
        }
    }

    /// Whether a lease that lives protects `key`.
    pub(crate) fn is_protected(&self, key: &Key) -> bool {
        let oldest = self.leases.first();
        matches!((oldest, self.touched.get(key)), (Some(oldest), Some(at)) if at >= oldest)
    }
}
