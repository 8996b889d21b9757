//! What fuzzers feed: what registries and token servers answer.

use http::{HeaderMap, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};

use crate::auth::challenge;
use crate::registry_error::detail_of;

/// `WWW-Authenticate`, one header a line.
pub fn challenge(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let _ = challenge::preferred(&headers);
}

/// The body of a refusal.
pub fn refusal(data: &[u8]) {
    let shown = detail_of(StatusCode::UNAUTHORIZED, data);
    assert!(!shown.is_empty() && !shown.contains(char::is_control));
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("challenge", challenge);
        replay::replay("refusal", refusal);
    }
}
