//! FROM an image: its layers, fetched where they are missing.

use super::{Root, Solver, StepResult};
use crate::plan::ImageKey;
use crate::progress::{Ending, Told};

impl Solver<'_> {
    pub(super) async fn image(&self, key: &ImageKey, told: &mut Told<'_>) -> StepResult {
        // The plan was made with all images at hand.
        let Some(image) = self.images.get(key) else {
            return Ok((Root::default(), Ending::Done));
        };
        let store = self.ports.store.clone();
        let layers: Vec<_> = image.layers.iter().map(|(layer, _)| *layer).collect();
        let wanted = layers.clone();
        let is_here = crate::blocking::run(move || wanted.iter().all(|layer| store.layers().has(layer))).await;
        let ending = if is_here {
            Ending::Cached
        } else {
            told.begin().await;
            self.ports.images.fetch(image, &told.output()).await?;
            Ending::Done
        };
        let root = Root {
            layers: layers.into(),
            added: None,
        };
        Ok((root, ending))
    }
}
