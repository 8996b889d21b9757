//! From what a person calls an image to one of its platforms.

use ferry_oci::{Descriptor, Platform, Reference, best_match};
use ferry_runtime::emulation::Support;
use ferry_store::Presence;

use super::Error;
use super::names::digest_of;
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

    /// The target that `name` stands for: a whole id, a name, or the beginning of an id, in this order.
    pub fn find_image(&self, name: &str) -> Result<Descriptor, Error> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let may_be_id = (1..=64).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if may_be_id
            && hex.len() == 64
            && let Some(target) = self.find_by_id(name, hex)?
        {
            return Ok(target);
        }
        let by_name = Reference::parse(name)
            .map_err(Error::from)
            .and_then(|name| self.find_by_name(&name));
        match by_name {
            Ok(Some(target)) => Ok(target),
            Ok(None) | Err(_) if may_be_id => {
                let found = self.find_by_id(name, hex)?;
                found.ok_or_else(|| Error::NoSuchImage(name.to_owned()))
            }
            Ok(None) => Err(Error::NoSuchImage(name.to_owned())),
            Err(error) => Err(error),
        }
    }

    /// By name; a digest in it need only be that of an image of this repository.
    pub(crate) fn find_by_name(&self, name: &Reference) -> Result<Option<Descriptor>, Error> {
        match self.store.images().get(name) {
            Ok(record) => return Ok(Some(record.target)),
            Err(ferry_store::Error::ImageMissing(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(digest) = name.digest() else {
            return Ok(None);
        };
        let records = self.store.images().list().into_iter();
        let found = records
            .filter(|record| record.reference.name() == name.name())
            .find(|record| digest_of(&record.target).is_ok_and(|id| id == *digest));
        Ok(found.map(|record| record.target))
    }

    /// By the digest, or its beginning, of an index, a manifest or a config.
    fn find_by_id(&self, name: &str, hex: &str) -> Result<Option<Descriptor>, Error> {
        let mut found: Option<Descriptor> = None;
        for image in self.named_images()? {
            if !image.id.hex().starts_with(hex) && !self.has_variant(&image.target, hex)? {
                continue;
            }
            if found.is_some() {
                return Err(Error::AmbiguousId(name.to_owned()));
            }
            found = Some(image.target);
        }
        Ok(found)
    }

    /// Whether the manifest or the config of a variant has a digest that begins with `hex`.
    fn has_variant(&self, target: &Descriptor, hex: &str) -> Result<bool, Error> {
        for variant in self.store.platforms(target)? {
            if digest_of(&variant.descriptor)?.hex().starts_with(hex) {
                return Ok(true);
            }
            if variant.presence == Presence::Absent {
                continue;
            }
            let image = self.store.image(&variant.descriptor, &variant.platform)?;
            if image.config_digest()?.hex().starts_with(hex) {
                return Ok(true);
            }
        }
        Ok(false)
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
                Support::Unregistered { .. } | Support::Missing { .. } => None,
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
