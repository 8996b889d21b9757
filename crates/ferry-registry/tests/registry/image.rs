//! Images made in memory: layers, configs, manifests and indexes with right digests.

use std::collections::HashMap;
use std::io::Write;

use ferry_oci::media_type::{
    DOCKER_CONFIG, DOCKER_INDEX, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP,
    OCI_MANIFEST,
};
use ferry_oci::{Descriptor, DiffId, Digest};
use ferry_store::{Limits, Store};

/// Which media types to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Oci,
    Docker,
}

/// Content by digest, with the media types of its documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    pub(crate) manifests: HashMap<Digest, (String, Vec<u8>)>,
}

/// A layer, compressed.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) diff_id: DiffId,
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

impl Layer {
    /// A layer with one file of `content`.
    pub(crate) fn with_file(name: &str, content: &[u8]) -> Self {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
        Self::of_tar(&tar.into_inner().unwrap())
    }

    pub(crate) fn of_tar(tar: &[u8]) -> Self {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(tar).unwrap();
        let bytes = gzip.finish().unwrap();
        Self {
            diff_id: DiffId(Digest::of(tar)),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// A layer of about `length` compressed bytes, which differ from start to end.
    pub(crate) fn incompressible(name: &str, length: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ name.len() as u64;
        let content: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        Self::with_file(name, &content)
    }
}

impl Content {
    /// Adds an image and returns the descriptor of its manifest.
    pub(crate) fn add_image(&mut self, format: Format, architecture: &str, layers: &[Layer]) -> Descriptor {
        let (config_type, layer_type, manifest_type) = match format {
            Format::Oci => (OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST),
            Format::Docker => (DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST),
        };
        let diff_ids: Vec<_> = layers
            .iter()
            .map(|layer| format!("{:?}", layer.diff_id.to_string()))
            .collect();
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        );
        let layer_texts: Vec<_> = layers
            .iter()
            .map(|layer| {
                self.blobs.insert(layer.digest, layer.bytes.clone());
                describe(layer_type, &layer.digest, layer.bytes.len(), "")
            })
            .collect();
        let config_text = describe(config_type, &Digest::of(config.as_bytes()), config.len(), "");
        self.blobs.insert(Digest::of(config.as_bytes()), config.into_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{manifest_type}","config":{config_text},"layers":[{}]}}"#,
            layer_texts.join(",")
        );
        self.add_manifest(manifest_type, manifest.into_bytes())
    }

    /// Adds an index over images of these architectures. Its spacing shows whether bytes were kept.
    pub(crate) fn add_index(&mut self, format: Format, images: &[(&str, &Descriptor)]) -> Descriptor {
        let index_type = if format == Format::Oci { OCI_INDEX } else { DOCKER_INDEX };
        let entries: Vec<_> = images
            .iter()
            .map(|(architecture, image)| {
                let platform = format!(r#","platform":{{"architecture":"{architecture}","os":"linux"}}"#);
                let digest: Digest = image.digest().try_into().unwrap();
                describe(image.media_type().as_ref(), &digest, image.size() as usize, &platform)
            })
            .collect();
        let index = format!(
            "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{index_type}\",\n   \"manifests\": [{}]}}\n",
            entries.join(",\n")
        );
        self.add_manifest(index_type, index.into_bytes())
    }

    pub(crate) fn add_manifest(&mut self, media_type: &str, bytes: Vec<u8>) -> Descriptor {
        let digest = Digest::of(&bytes);
        let descriptor = Descriptor::new(media_type.into(), bytes.len() as u64, digest);
        self.manifests.insert(digest, (media_type.to_owned(), bytes));
        descriptor
    }

    /// Puts everything into a store, as a pull or build would have.
    pub(crate) fn store_in(&self, store: &Store, layers: &[Layer]) {
        for layer in layers {
            let descriptor = Descriptor::new(OCI_LAYER_GZIP.into(), layer.bytes.len() as u64, layer.digest);
            store
                .layers()
                .import(&layer.bytes[..], &descriptor, &layer.diff_id, &Limits::default())
                .unwrap();
        }
        let documents = self.manifests.values().map(|(_, bytes)| bytes);
        for bytes in self.blobs.values().chain(documents) {
            store.content().write(bytes).unwrap();
        }
    }
}

fn describe(media_type: &str, digest: &Digest, size: usize, more: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"{digest}"{more}}}"#)
}

/// An index for amd64 and arm64 that share their bottom layer.
pub(crate) struct TwoPlatforms {
    pub(crate) content: Content,
    pub(crate) shared: Layer,
    pub amd64_layer: Layer,
    pub arm64_layer: Layer,
    pub amd64: Descriptor,
    pub arm64: Descriptor,
    pub(crate) index: Descriptor,
}

impl TwoPlatforms {
    pub(crate) fn new(format: Format) -> Self {
        let shared = Layer::with_file("shared", b"the same on every CPU");
        let amd64_layer = Layer::with_file("bin", b"amd64");
        let arm64_layer = Layer::with_file("bin", b"arm64");
        let mut content = Content::default();
        let amd64 = content.add_image(format, "amd64", &[shared.clone(), amd64_layer.clone()]);
        let arm64 = content.add_image(format, "arm64", &[shared.clone(), arm64_layer.clone()]);
        let index = content.add_index(format, &[("amd64", &amd64), ("arm64", &arm64)]);
        Self {
            content,
            shared,
            amd64_layer,
            arm64_layer,
            amd64,
            arm64,
            index,
        }
    }

    pub(crate) fn layers(&self) -> [Layer; 3] {
        [self.shared.clone(), self.amd64_layer.clone(), self.arm64_layer.clone()]
    }
}

/// Our digest of a descriptor.
pub(crate) fn digest_of(descriptor: &Descriptor) -> Digest {
    descriptor.digest().try_into().unwrap()
}
