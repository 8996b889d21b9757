//! What a build gives.

use std::sync::Arc;

use ferry_oci::{Descriptor, ImageConfig, ImageId, Platform};
use ferry_store::Lease;

/// A finished build. Everything it names is in the store and not named by any image record yet; whoever
/// writes that record syncs the store first, as [`ferry_store::Images::put`] does.
#[derive(Debug, Clone)]
pub struct BuildResult {
    /// The index, or the one manifest; what a tag should point at.
    pub target: Descriptor,
    /// The images, in the request's order of platforms.
    pub images: Vec<BuiltImage>,
    /// Keeps everything from being collected until it is named.
    pub lease: Arc<Lease>,
}

/// One platform's image.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// Its platform.
    pub platform: Platform,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The digest of its config.
    pub image_id: ImageId,
    /// Its config, as it was stored.
    pub config: ImageConfig,
}
