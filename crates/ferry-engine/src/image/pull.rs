//! Fetches an image from its registry.

use ferry_oci::{Descriptor, Platform, Reference};
use ferry_registry::{Credentials, Progress, Selection};

use super::Error;
use super::names::tagged;
use crate::Engine;

/// Which platforms of an image are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Platforms {
    /// The best that can run here.
    #[default]
    Best,
    /// These, each of them.
    These(Vec<Platform>),
    /// All that there are.
    All,
}

/// What a pull brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// What the name points at now.
    pub target: Descriptor,
    /// Whether it pointed at the same before.
    pub novelty: Novelty,
}

/// Whether a pull brought anything that was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// The name pointed at the same image before.
    UpToDate,
    /// The image is new, or was another one.
    Newer,
}

impl Engine {
    /// Fetches `platforms` of `reference` and names the image so. All of it is verified, unpacked and
    /// durable when this returns; dropping the future stops the transfer and names nothing.
    pub async fn pull_image(
        &self,
        reference: &Reference,
        platforms: &Platforms,
        credentials: &dyn Credentials,
        progress: &dyn Progress,
    ) -> Result<Pulled, Error> {
        let lease = self.store.lease();
        let selection = self.selection(platforms);
        let before = self.store.images().get(reference).ok();
        let target = self
            .registry
            .pull(&self.store, reference, &selection, credentials, progress)
            .await?;
        let is_same = before.is_some_and(|before| before.target.digest() == target.digest());
        let pulled = Pulled {
            target: target.clone(),
            novelty: if is_same { Novelty::UpToDate } else { Novelty::Newer },
        };
        let name = reference.clone();
        self.blocking(move |engine| {
            engine.set_image_name(&name, &target)?;
            engine.image_event("pull", &target, &tagged(&name))?;
            drop(lease);
            Ok(())
        })
        .await?;
        Ok(pulled)
    }

    /// The platforms whose programs run here, best first.
    pub fn runnable_platforms(&self) -> Vec<Platform> {
        use ferry_runtime::emulation::Support;
        let host = Platform::host();
        let runs = self
            .emulators()
            .iter()
            .filter(|entry| !matches!(entry.support, Support::Unregistered { .. } | Support::Missing { .. }))
            .map(|entry| entry.cpu.platform())
            .filter(|platform| *platform != host);
        std::iter::once(host.clone()).chain(runs).collect()
    }

    pub(super) fn selection(&self, platforms: &Platforms) -> Selection {
        match platforms {
            Platforms::Best => Selection::Best(self.runnable_platforms()),
            Platforms::These(these) => Selection::Platforms(these.clone()),
            Platforms::All => Selection::All,
        }
    }
}
