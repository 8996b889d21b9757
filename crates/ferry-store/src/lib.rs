//! The store: content by digest, unpacked layers, overlay snapshots and image names, all files below one root.
//!
//! Synchronous; it mounts nothing, reads no environment and prints nothing. One process opens a root at
//! a time. What it keeps on disk:
//!
//! | path | what |
//! |---|---|
//! | `oci-layout`, `index.json`, `blobs/sha256/` | an OCI image layout that other tools can read |
//! | `layers/<DiffID>/` | one layer's own differences, unpacked (`fs/`), and its record |
//! | `snapshots/<id>/` | upper and work directory of one writable root, and its record |
//! | `images/` | one record an image name |
//! | `tmp/`, `trash/`, `pending/` | what is being written, what is being deleted, what is not yet synced |
//!
//! Invariants: nothing is visible under its name before its digest was checked; a path inside a layer
//! is never joined to a path of the host; bytes that were pulled are never re-serialised.

pub mod archive;
mod content;
mod disk_usage;
mod durability;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gc;
mod image;
pub mod layer;
mod lease;
pub mod record;
mod snapshot;
mod store;
mod tar;
mod timestamp;
mod trash;

pub use content::{Blob, Content, Ingest};
pub use disk_usage::disk_usage;
pub use error::{EntryError, Error};
pub use gc::{Reclaimed, Roots};
pub use image::{HistoryStep, Image, ImageRecord, Images, Layer, PlatformEntry, Presence};
pub use layer::{Layers, Limits};
pub use lease::Lease;
pub use record::Durability;
pub use snapshot::{Change, ChangeKind, CommitOptions, Committed, Overlay, Snapshot, SnapshotId, Snapshots};
pub use store::{Store, Usage};
pub use timestamp::Timestamp;
