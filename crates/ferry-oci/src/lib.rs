//! Names and documents of the OCI specifications: references, digests, platforms, image configs; no I/O.
//!
//! Manifests and indexes are `oci-spec`'s types. The image config is our own, because oci-spec's lacks
//! `Healthcheck`, `Shell` and `OnBuild` and drops what it does not know. Bytes that were pulled are
//! never re-serialised: a document is parsed to be read, and stored as it came.

pub mod cpu;
mod digest;
pub mod document;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod image_config;
pub mod media_type;
mod platform;
mod reference;

pub use digest::{ChainId, DiffId, Digest, DigestError, Hasher, ImageId};
pub use document::{Document, DocumentError};
pub use image_config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use media_type::{Compression, MediaKind};
pub use oci_spec;
pub use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
pub use platform::{Platform, PlatformError, best_match};
pub use reference::{Reference, ReferenceError};
