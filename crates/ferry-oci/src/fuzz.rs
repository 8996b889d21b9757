//! What fuzzers feed: names and documents from registries, archives and command lines.

use crate::{Digest, Document, ImageConfig, Platform, Reference};

/// A manifest or an index.
pub fn document(data: &[u8]) {
    for media_type in ["", crate::media_type::OCI_MANIFEST, crate::media_type::DOCKER_INDEX] {
        match Document::parse(media_type, data) {
            Ok(document) => {
                document.media_type();
                document.is_docker();
            }
            Err(error) => drop(error.to_string()),
        }
    }
}

/// An image config.
pub fn image_config(data: &[u8]) {
    if let Ok(config) = ImageConfig::parse(data) {
        config.platform();
        let written = serde_json::to_vec(&config).expect("a config can be written");
        let read = ImageConfig::parse(&written).expect("a config that was written can be read");
        assert_eq!(config, read);
    }
}

/// An image's name; what is accepted is written as it is read.
pub fn reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Reference::parse(&text) {
        Ok(reference) => {
            assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference));
            assert_eq!(Reference::parse(&reference.familiar()).as_ref(), Ok(&reference));
            assert!(reference.path().len() <= 255);
            let _ = reference.with_tag(&text);
        }
        Err(error) => drop(error.to_string()),
    }
    let _ = text.parse::<Digest>();
}

/// A platform; what is accepted is written as it is read.
pub fn platform(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Platform>() {
        Ok(platform) => {
            let again = platform.to_string().parse::<Platform>();
            assert_eq!(again.as_ref().ok(), Some(&platform));
            assert!(platform.satisfies(&platform));
        }
        Err(error) => drop(error.to_string()),
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("document", document);
        replay::replay("image_config", image_config);
        replay::replay("reference", reference);
        replay::replay("platform", platform);
    }
}
