//! From what a person calls an image to one of its platforms.

use ferry_oci::{Descriptor, Digest, Platform, Reference, best_match};
use ferry_runtime::emulation::Support;
use ferry_store::Presence;

use super::Error;
use crate::Engine;

/// An image for one platform, found in the store.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// The index or manifest that the name stands for.
    pub target: Descriptor,
    /// The image itself.
    pub image: ferry_store::Image,
    /// What a person should know of the choice, in sentences.
    pub notices: Vec<String>,
}

impl Engine {
    /// Finds `name` — a reference, or an image ID or the beginning of one — and chooses its variant for
    /// `wanted`; without one, the best that can run here, and says so when that is not the host's own.
    pub fn resolve_image(&self, name: &str, wanted: Option<&Platform>) -> Result<ResolvedImage, Error> {
        let target = self.find_image(name)?;
        let present: Vec<Platform> = self
            .store
            .platforms(&target)?
            .into_iter()
            .filter(|variant| variant.presence == Presence::Complete)
            .map(|variant| variant.platform)
            .collect();
        let (platform, notices) = match wanted {
            Some(wanted) => (best_match(wanted, present.iter().map(|p| (p, p))), Vec::new()),
            None => self.best_runnable(name, &present),
        };
        let Some(platform) = platform else {
            return Err(Error::NoSuchPlatform {
                image: name.to_owned(),
                wanted: wanted.cloned().unwrap_or_else(Platform::host),
                present,
            });
        };
        Ok(ResolvedImage {
            image: self.store.image(&target, platform)?,
            target,
            notices,
        })
    }

    /// The target that `name` stands for.
    pub fn find_image(&self, name: &str) -> Result<Descriptor, Error> {
        if let Some(found) = self.find_image_by_id(name)? {
            return Ok(found);
        }
        let reference = Reference::parse(name)?;
        match self.store.images().get(&reference) {
            Ok(record) => Ok(record.target),
            Err(ferry_store::Error::ImageMissing(_)) => Err(Error::NoSuchImage(name.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// By the digest, or its beginning, of a target or of a config.
    fn find_image_by_id(&self, name: &str) -> Result<Option<Descriptor>, Error> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let is_hex = (4..=64).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hex {
            return Ok(None);
        }
        let mut found: Option<Descriptor> = None;
        for record in self.store.images().list() {
            let is_it = |digest: &Digest| digest.hex().starts_with(hex);
            let target = Digest::try_from(record.target.digest()).ok();
            let matches = target.as_ref().is_some_and(is_it)
                || self.store.platforms(&record.target)?.iter().any(|variant| {
                    variant.presence == Presence::Complete
                        && self
                            .store
                            .image(&record.target, &variant.platform)
                            .is_ok_and(|image| image.config_digest().is_ok_and(|digest| is_it(&digest)))
                });
            if matches {
                match &found {
                    Some(other) if other.digest() != record.target.digest() => {
                        return Err(Error::AmbiguousId(name.to_owned()));
                    }
                    _ => found = Some(record.target),
                }
            }
        }
        Ok(found)
    }

    /// The host's own variant, then others that its CPU runs, then emulated ones.
    fn best_runnable<'a>(&self, name: &str, present: &'a [Platform]) -> (Option<&'a Platform>, Vec<String>) {
        let host = Platform::host();
        if let Some(platform) = best_match(&host, present.iter().map(|p| (p, p))) {
            return (Some(platform), Vec::new());
        }
        let rank = |platform: &&Platform| {
            let cpu = ferry_oci::cpu::Cpu::of(platform)?;
            match &self.emulators().of(cpu)?.support {
                Support::Native => Some((0, "which this machine runs natively".to_owned())),
                Support::GloballyRegistered(by) => Some((1, format!("emulated by {}", by.interpreter.display()))),
                Support::Emulated(by) => Some((1, format!("emulated by {}", by.path.display()))),
                Support::Missing { .. } => None,
            }
        };
        let best = present
            .iter()
            .filter_map(|platform| rank(&platform).map(|rank| (rank, platform)))
            .min_by_key(|((order, _), _)| *order);
        match best {
            Some(((_, how), platform)) => {
                let notice = format!("{name} has no variant for {host}; using {platform}, {how}");
                (Some(platform), vec![notice])
            }
            // Nothing can run: the error that names what is missing comes from the create.
            None => (present.first(), Vec::new()),
        }
    }
}
