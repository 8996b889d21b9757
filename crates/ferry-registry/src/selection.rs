//! Which platforms of an image an operation is about, and which manifests of an index that means.

use ferry_oci::media_type::MediaKind;
use ferry_oci::{Descriptor, ImageIndex, Platform, best_match};

use crate::Error;

/// Which platforms of an image to pull or push.
///
/// Where the reference names a single manifest rather than an index, that manifest must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Each of these; one that the image lacks is an error.
    Platforms(Vec<Platform>),
    /// Everything that the index lists, attestations included.
    All,
    /// The first of these, in order of preference, that the image has.
    Best(Vec<Platform>),
}

/// What marks an index's entry as a statement about another entry. Source: BuildKit's
/// `docs/attestations/attestation-storage.md`.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The manifest that such an entry is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// One manifest that an index names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    /// The platform that the index gives; `None` where it gives none.
    pub(crate) platform: Option<Platform>,
    /// The manifest that it is about, for attestations.
    pub(crate) statement_about: Option<String>,
}

impl Entry {
    /// Whether it is an image for some platform rather than an attestation.
    pub(crate) fn is_image(&self) -> bool {
        self.statement_about.is_none()
    }
}

/// The manifests of an index, in its order. Indexes within indexes are refused; entries of unknown
/// types are ignored, as OCI image-spec `image-index.md` wants.
pub(crate) fn entries(index: &ImageIndex, what: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for descriptor in index.manifests() {
        match MediaKind::of(descriptor.media_type().as_ref()) {
            Some(MediaKind::Manifest) => {}
            Some(MediaKind::Index) => {
                return Err(Error::Descriptor {
                    what: what.to_owned(),
                    problem: "an index within an index is not supported".to_owned(),
                });
            }
            _ => continue,
        }
        let platform = descriptor.platform().as_ref().map(Platform::from);
        let annotation = |key: &str| descriptor.annotations().as_ref()?.get(key).cloned();
        let is_statement =
            annotation(REFERENCE_TYPE).is_some() || platform.as_ref().is_some_and(|platform| platform.os == "unknown");
        entries.push(Entry {
            descriptor: descriptor.clone(),
            statement_about: is_statement.then(|| annotation(REFERENCE_DIGEST).unwrap_or_default()),
            platform,
        });
    }
    Ok(entries)
}

impl Selection {
    /// The entries that are selected; `Err` holds the platforms that are not there.
    pub(crate) fn choose(&self, entries: &[Entry]) -> Result<Vec<Entry>, Vec<Platform>> {
        let find = |wanted: &Platform| {
            let images = entries.iter().filter(|entry| entry.is_image());
            best_match(
                wanted,
                images.filter_map(|entry| Some((entry.platform.as_ref()?, entry))),
            )
        };
        match self {
            Self::All => Ok(entries.to_vec()),
            Self::Best(wanted) => match wanted.iter().find_map(find) {
                Some(entry) => Ok(vec![entry.clone()]),
                None => Err(wanted.clone()),
            },
            Self::Platforms(wanted) => {
                let mut chosen: Vec<Entry> = Vec::new();
                let mut missing = Vec::new();
                for platform in wanted {
                    match find(platform) {
                        Some(entry) if chosen.contains(entry) => {}
                        Some(entry) => chosen.push(entry.clone()),
                        None => missing.push(platform.clone()),
                    }
                }
                if missing.is_empty() { Ok(chosen) } else { Err(missing) }
            }
        }
    }

    /// Whether a single manifest for `platform` is what is wanted; `Err` holds what it lacks.
    pub(crate) fn admit(&self, platform: &Platform) -> Result<(), Vec<Platform>> {
        let fits = |wanted: &&Platform| platform.satisfies(wanted);
        // Images of old tools carry no platform: nothing speaks against them.
        if platform.os.is_empty() || platform.architecture.is_empty() {
            return Ok(());
        }
        let missing: Vec<Platform> = match self {
            Self::All => Vec::new(),
            Self::Best(wanted) if wanted.iter().any(|wanted| fits(&wanted)) => Vec::new(),
            Self::Best(wanted) => wanted.clone(),
            Self::Platforms(wanted) => wanted.iter().filter(|wanted| !fits(wanted)).cloned().collect(),
        };
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }
}

/// The platforms of an index's images, for messages.
pub(crate) fn platforms_of(entries: &[Entry]) -> Vec<Platform> {
    entries
        .iter()
        .filter(|entry| entry.is_image())
        .filter_map(|entry| entry.platform.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ImageIndex {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let entry = |architecture: &str, variant: &str, size: u32| {
            format!(
                r#"{{"mediaType":"{manifest}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{architecture}"{variant}}}}}"#
            )
        };
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{},{},{},
            {{"mediaType":"{manifest}","digest":"{digest}","size":4,"platform":{{"os":"unknown","architecture":"unknown"}},
              "annotations":{{"{REFERENCE_TYPE}":"attestation-manifest","{REFERENCE_DIGEST}":"{digest}"}}}},
            {{"mediaType":"application/x-unknown","digest":"{digest}","size":5}}]}}"#,
            entry("amd64", "", 1),
            entry("arm", r#","variant":"v6""#, 2),
            entry("arm", r#","variant":"v7""#, 3),
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn selections_choose_entries() {
        let entries = entries(&index(), "x").unwrap();
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let check = |selection: Selection, expected: Result<&[u64], &[&str]>| {
            let chosen = selection.choose(&entries);
            let sizes = chosen.map(|chosen| chosen.iter().map(|entry| entry.descriptor.size()).collect::<Vec<_>>());
            let sizes = sizes.map_err(|missing| missing.iter().map(ToString::to_string).collect::<Vec<_>>());
            let expected = expected.map(<[u64]>::to_vec);
            let expected = expected.map_err(|missing| missing.iter().map(|&text| text.to_owned()).collect());
            assert_eq!(sizes, expected, "{selection:?}");
        };
        let list = |texts: &[&str]| texts.iter().map(|text| platform(text)).collect::<Vec<_>>();
        check(Selection::All, Ok(&[1, 2, 3, 4]));
        check(Selection::Platforms(list(&["linux/arm/v7"])), Ok(&[3]));
        check(
            Selection::Platforms(list(&["linux/arm/v8", "linux/amd64"])),
            Ok(&[3, 1]),
        );
        check(Selection::Platforms(list(&["linux/arm/v7", "linux/arm/v7"])), Ok(&[3]));
        check(
            Selection::Platforms(list(&["linux/s390x", "linux/amd64"])),
            Err(&["linux/s390x"]),
        );
        check(
            Selection::Best(list(&["linux/s390x", "linux/arm/v6", "linux/amd64"])),
            Ok(&[2]),
        );
        check(Selection::Best(list(&["linux/s390x"])), Err(&["linux/s390x"]));
        let found: Vec<_> = platforms_of(&entries).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["linux/amd64", "linux/arm/v6", "linux/arm/v7"]);
    }

    #[test]
    fn a_single_manifest_must_fit() {
        let amd64: Platform = "linux/amd64".parse().unwrap();
        let arm64: Platform = "linux/arm64".parse().unwrap();
        assert_eq!(Selection::All.admit(&arm64), Ok(()));
        assert_eq!(
            Selection::Best(vec![amd64.clone(), arm64.clone()]).admit(&arm64),
            Ok(())
        );
        let both = Selection::Platforms(vec![amd64.clone(), arm64.clone()]);
        assert_eq!(both.admit(&arm64), Err(vec![amd64]));
    }
}
