//! Lists of strings as gRPC metadata, in the encoding that BuildKit's sessions use.
//!
//! Values that are not ASCII are written as Go's `url.QueryEscape` writes them, and a second key,
//! `<key>-encoded`, says so (BuildKit session/filesync).

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

/// Adds `values` under `key`.
pub(super) fn append(metadata: &mut MetadataMap, key: &'static str, values: &[String]) {
    let plain = values.iter().all(|value| is_plain(value));
    for value in values {
        let text = if plain { value.clone() } else { escape(value) };
        if let Ok(text) = AsciiMetadataValue::try_from(text) {
            metadata.append(key, text);
        }
    }
    if !plain && let Ok(key) = AsciiMetadataKey::from_bytes(format!("{key}-encoded").as_bytes()) {
        metadata.insert(key, AsciiMetadataValue::from_static("1"));
    }
}

/// Whether `value` can be a header as it is, on both sides.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// `url.QueryEscape`: letters, digits and `-_.~` stay, a space becomes `+`, the rest `%XX`.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_than_ascii_is_escaped_and_said_to_be() {
        let mut metadata = MetadataMap::new();
        append(&mut metadata, "plain", &["a b".into(), "c%".into()]);
        append(&mut metadata, "other", &["a b".into(), "ä+".into()]);
        let all = |key: &str| {
            let values = metadata.get_all(key);
            values
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect::<Vec<_>>()
        };
        assert_eq!(all("plain"), ["a b", "c%"]);
        assert!(metadata.get("plain-encoded").is_none());
        assert_eq!(all("other"), ["a+b", "%C3%A4%2B"]);
        assert_eq!(all("other-encoded"), ["1"]);
    }
}
