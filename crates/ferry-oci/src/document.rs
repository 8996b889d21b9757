//! Reads indexes and manifests that came from outside, within bounds.

use oci_spec::image::{ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::media_type::{
    DOCKER_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED, MediaKind, OCI_INDEX, OCI_MANIFEST,
};

/// No index, manifest or config may be larger. Source: distribution-spec `spec.md#pushing-manifests`.
pub const MAX_LEN_BYTES: usize = 4 << 20;

/// An index or a manifest, parsed; the bytes it came from stay as they are.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // read once and dropped; a box would only be in the way
pub enum Document {
    /// Names manifests, one a platform.
    Index(ImageIndex),
    /// Names a config and layers.
    Manifest(ImageManifest),
}

/// Why bytes are not a [`Document`].
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Larger than [`MAX_LEN_BYTES`].
    #[error("document of {0} bytes is larger than the limit of {MAX_LEN_BYTES} bytes")]
    TooLarge(usize),
    /// Neither an index nor a manifest.
    #[error("unsupported media type {0:?} of a manifest")]
    MediaType(String),
    /// Docker's first manifest format.
    #[error("manifest schema 1 is not supported: it was deprecated in 2019; push the image again with a current tool")]
    Schema1,
    /// Labelled as one thing and shaped like another, which tools would read differently.
    #[error("document has media type {declared:?} but was served as {served:?}")]
    Ambiguous {
        /// The document's own `mediaType`.
        declared: String,
        /// What the registry or descriptor said.
        served: String,
    },
    /// Has both `manifests` and `layers`, which tools would read differently.
    #[error("document is both an index and a manifest")]
    Both,
    /// Not JSON of the right shape.
    #[error("malformed document: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The fields that tell the kinds apart. Source: CVE-2021-41190 for why they are checked.
#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "schemaVersion")]
    schema_version: Option<u64>,
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Parses `bytes` that were served as `media_type`; an empty one means "as the document says".
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, DocumentError> {
        let shape: Shape = parse_bounded(bytes)?;
        let served = media_type.split(';').next().unwrap_or_default().trim();
        if shape.schema_version == Some(1)
            || shape.fs_layers.is_some()
            || [DOCKER_MANIFEST_V1, DOCKER_MANIFEST_V1_SIGNED].contains(&served)
        {
            return Err(DocumentError::Schema1);
        }
        if shape.manifests.is_some() && shape.layers.is_some() {
            return Err(DocumentError::Both);
        }
        let is_generic = matches!(served, "" | "application/json" | "application/octet-stream");
        let kind_text = match (&shape.media_type, is_generic) {
            (Some(declared), false) if declared != served => {
                return Err(DocumentError::Ambiguous {
                    declared: declared.clone(),
                    served: served.to_owned(),
                });
            }
            (Some(declared), _) => declared.as_str(),
            (None, false) => served,
            (None, true) if shape.manifests.is_some() => OCI_INDEX,
            (None, true) => OCI_MANIFEST,
        };
        match MediaKind::of(kind_text) {
            Some(MediaKind::Index) if shape.layers.is_none() => Ok(Self::Index(parse_bounded(bytes)?)),
            Some(MediaKind::Manifest) if shape.manifests.is_none() => Ok(Self::Manifest(parse_bounded(bytes)?)),
            Some(MediaKind::Index | MediaKind::Manifest) => Err(DocumentError::Both),
            _ => Err(DocumentError::MediaType(kind_text.chars().take(200).collect())),
        }
    }

    /// The media type to serve or store the document under, when it does not carry its own.
    pub fn media_type(&self) -> String {
        match self {
            Self::Index(index) => index
                .media_type()
                .as_ref()
                .map_or(OCI_INDEX.to_owned(), ToString::to_string),
            Self::Manifest(manifest) => manifest
                .media_type()
                .as_ref()
                .map_or(OCI_MANIFEST.to_owned(), ToString::to_string),
        }
    }

    /// Whether the document is in Docker's rather than OCI's format.
    pub fn is_docker(&self) -> bool {
        [DOCKER_INDEX, DOCKER_MANIFEST].contains(&self.media_type().as_str())
    }
}

/// Parses JSON from outside: bounded in size here and in depth (128) by serde_json.
pub(crate) fn parse_bounded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    if bytes.len() > MAX_LEN_BYTES {
        return Err(DocumentError::TooLarge(bytes.len()));
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;

    fn manifest(extra: &str) -> Vec<u8> {
        let digest = Digest::of(b"");
        format!(
            r#"{{"schemaVersion":2,{extra}"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":0}},"layers":[]}}"#
        )
        .into_bytes()
    }

    #[test]
    fn kinds_are_told_by_media_type_or_shape() {
        for media_type in ["", OCI_MANIFEST, DOCKER_MANIFEST, "application/json; charset=utf-8"] {
            let document = Document::parse(media_type, &manifest("")).unwrap();
            assert!(matches!(document, Document::Manifest(_)), "{media_type}");
        }
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(Document::parse("", index), Ok(Document::Index(_))));
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        let labelled = manifest(&format!("\"mediaType\":\"{OCI_INDEX}\","));
        assert!(matches!(Document::parse("", &labelled), Err(DocumentError::Both)));
        assert!(matches!(
            Document::parse(OCI_MANIFEST, &labelled),
            Err(DocumentError::Ambiguous { .. })
        ));
        let both = manifest("\"manifests\":[],");
        assert!(matches!(Document::parse("", &both), Err(DocumentError::Both)));
        assert!(matches!(
            Document::parse("text/html", &manifest("")),
            Err(DocumentError::MediaType(_))
        ));
        assert!(matches!(
            Document::parse("", br#"{"schemaVersion":1,"fsLayers":[]}"#),
            Err(DocumentError::Schema1)
        ));
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let large = vec![b' '; MAX_LEN_BYTES + 1];
        assert!(matches!(Document::parse("", &large), Err(DocumentError::TooLarge(_))));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            Document::parse("", deep.as_bytes()),
            Err(DocumentError::Malformed(_))
        ));
    }
}
