//! Lists of strings in gRPC metadata, as BuildKit's sessions encode them (BuildKit session/filesync).

use tonic::metadata::MetadataMap;

/// The values of `key`; where `<key>-encoded` is true they are escaped as in a query.
pub(super) fn list(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let encoded = metadata
        .get(format!("{key}-encoded"))
        .is_some_and(|value| matches!(value.as_bytes(), b"1" | b"true"));
    metadata
        .get_all(key)
        .iter()
        .map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if encoded { unescape(&text) } else { text }
        })
        .collect()
}

fn unescape(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_than_ascii_is_unescaped_when_said_so() {
        let mut metadata = MetadataMap::new();
        for (key, value) in [("plain", "a+b%20"), ("other", "%C3%A4+b"), ("other-encoded", "1")] {
            metadata.append(key, value.parse().expect("a value"));
        }
        assert_eq!(list(&metadata, "plain"), ["a+b%20"]);
        assert_eq!(list(&metadata, "other"), ["ä b"]);
        assert!(list(&metadata, "none").is_empty());
    }
}
