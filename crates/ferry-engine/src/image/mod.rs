//! Images: one file a verb.

mod archive;
mod error;
mod garbage;
mod import;
mod inspect;
mod list;
mod names;
mod pattern;
mod prune;
mod pull;
mod push;
mod registry;
mod remove;
mod resolve;
mod tag;
mod usage;

pub use archive::{ImagesToSave, LoadedImage};
pub use error::Error;
pub use import::ImportOptions;
pub(crate) use import::check_changes;
pub use inspect::{ImageDetail, ImageHistory};
pub use list::{ImageSummary, ListFilter, Variant, created};
pub(crate) use names::Naming;
pub use prune::{PruneFilter, PruneScope, Pruned};
pub use pull::{Novelty, Platforms, Pulled};
pub use registry::Distribution;
pub use remove::{Removal, Removed};
pub use resolve::ResolvedImage;

use crate::Engine;

impl Engine {
    /// Runs `work` where it may block.
    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
    {
        let engine = self.clone();
        tokio::task::spawn_blocking(move || work(&engine)).await?
    }
}
