//! What a build gives.

use ferry_oci::{Descriptor, ImageConfig, ImageId, Platform};

/// A finished build. Everything it names is in the store, synced, and not yet named by any image record.
#[derive(Debug, Clone)]
pub struct BuildResult {
    /// The index, or the one manifest; what a tag should point at.
    pub target: Descriptor,
    /// The images, in the request's order of platforms.
    pub images: Vec<BuiltImage>,
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
