//! Images: names for indexes and manifests, and what those hold.

mod document;
mod names;
mod select;

pub(crate) use self::document::{index_blobs, reachable};
pub use self::names::{ImageRecord, Images};
pub(crate) use self::names::{NAME_ANNOTATION, Names, TAG_ANNOTATION, with_name};
pub use self::select::{HistoryStep, Image, Layer, PlatformEntry, Presence};
pub(crate) use self::select::{find, find_manifest, platforms};
