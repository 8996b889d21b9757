//! Tells all of one image, and how it came to be.

use ferry_oci::Platform;
use ferry_store::{HistoryStep, Image};

use super::list::ImageSummary;
use super::{Error, usage};
use crate::Engine;

/// All of one image.
#[derive(Debug, Clone)]
pub struct ImageDetail {
    /// What a list shows of it.
    pub summary: ImageSummary,
    /// The variant that was chosen.
    pub image: Image,
    /// Bytes of the chosen variant: unpacked layers and blobs that are here.
    pub size_bytes: u64,
    /// When the image last got a name, in seconds since 1970.
    pub tagged_at: i64,
}

/// The history of one variant of an image.
#[derive(Debug, Clone)]
pub struct ImageHistory {
    /// What a list shows of the image.
    pub summary: ImageSummary,
    /// Steps, first one first.
    pub steps: Vec<HistoryStep>,
}

impl Engine {
    /// All of the image `name`: of its variant for `wanted`, or the best that can run here.
    pub async fn inspect_image(&self, name: &str, wanted: Option<Platform>) -> Result<ImageDetail, Error> {
        let name = name.to_owned();
        self.blocking(move |engine| {
            let chosen = engine.resolve_image(&name, wanted.as_ref())?;
            let named = engine.named_image(&chosen.target)?;
            let summary = engine.summarize(&named, &usage::of_containers(engine))?;
            let mut sizes = usage::Sizes::default();
            sizes.add(&engine.store, &chosen.image);
            Ok(ImageDetail {
                summary,
                size_bytes: sizes.total_bytes(),
                image: chosen.image,
                tagged_at: named.tagged_at,
            })
        })
        .await
    }

    /// How the image `name` came to be: its variant for `wanted`, or the best that can run here.
    pub async fn image_history(&self, name: &str, wanted: Option<Platform>) -> Result<ImageHistory, Error> {
        let name = name.to_owned();
        self.blocking(move |engine| {
            let chosen = engine.resolve_image(&name, wanted.as_ref())?;
            let named = engine.named_image(&chosen.target)?;
            Ok(ImageHistory {
                summary: engine.summarize(&named, &usage::of_containers(engine))?,
                steps: chosen.image.history(&engine.store)?,
            })
        })
        .await
    }
}
