//! What a person sees while an image is pulled or pushed.

use ferry_oci::Digest;

/// Where one blob of a pull or push stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerProgress {
    /// Known, and waiting for its turn.
    Waiting,
    /// Bytes of the compressed blob that have arrived.
    Downloading {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, from the descriptor.
        total: u64,
    },
    /// All bytes are here; the rest of the layer is being unpacked.
    Extracting,
    /// Nothing to do: it was there before.
    AlreadyExists,
    /// Pulled: verified and unpacked. Pushed: accepted by the registry.
    Complete,
    /// Bytes of the compressed blob that have been sent.
    Pushing {
        /// Bytes so far.
        done: u64,
        /// Bytes in all, from the descriptor.
        total: u64,
    },
    /// The registry took it from another of its repositories.
    Mounted,
    /// An attempt failed and another one follows; the count of bytes may start again.
    Retrying,
}

/// Receives progress. Calls come from async tasks and must return at once; the client thins out
/// [`LayerProgress::Downloading`] and [`LayerProgress::Pushing`] to a few per second and blob.
pub trait Progress: Send + Sync {
    /// The blob `id` has reached `state`. Blobs of several platforms come in any order.
    fn layer(&self, id: &Digest, state: LayerProgress);
    /// A line about the whole operation, for example `Pulling from library/busybox`.
    fn status(&self, text: &str);
}

/// Drops all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn layer(&self, _id: &Digest, _state: LayerProgress) {}
    fn status(&self, _text: &str) {}
}
