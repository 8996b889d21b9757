//! The words that registries and token servers give with a refusal.

use http::StatusCode;
use serde::Deserialize;

/// Characters of a registry's words that are shown.
const MAX_SHOWN: usize = 500;

/// Source: distribution-spec `spec.md#error-codes`.
#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Token servers' shapes: OAuth2's, and the `details` of Docker Hub's.
#[derive(Deserialize)]
struct OtherErrors {
    error_description: Option<String>,
    error: Option<String>,
    details: Option<String>,
    message: Option<String>,
}

/// One line for a person from the body of a refusal, whatever it holds.
pub(crate) fn detail_of(status: StatusCode, body: &[u8]) -> String {
    let detail = registry_words(body)
        .or_else(|| token_server_words(body))
        .unwrap_or_else(|| plain_words(body));
    let mut shown: String = detail
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_SHOWN)
        .collect();
    shown.truncate(shown.trim_end().len());
    if shown.is_empty() {
        shown = status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_ascii_lowercase();
    }
    shown
}

fn registry_words(body: &[u8]) -> Option<String> {
    let errors = serde_json::from_slice::<Errors>(body).ok()?.errors;
    let words: Vec<String> = errors
        .iter()
        .take(4)
        .map(|entry| match (entry.code.as_str(), entry.message.as_str()) {
            ("", message) => message.to_owned(),
            (code, "") => code.replace('_', " ").to_ascii_lowercase(),
            (_, message) => message.to_owned(),
        })
        .filter(|words| !words.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn token_server_words(body: &[u8]) -> Option<String> {
    let errors = serde_json::from_slice::<OtherErrors>(body).ok()?;
    errors
        .error_description
        .or(errors.details)
        .or(errors.message)
        .or(errors.error)
}

/// Text that is not JSON; a page of HTML says nothing in one line.
fn plain_words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let text = text.trim();
    if text.starts_with('<') || text.starts_with('{') {
        String::new()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_become_one_line() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
                "requested access to the resource is denied",
            ),
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN"},{"code":"X","message":"y"}]}"#,
                "manifest unknown; y",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "expired"),
            ("<html><body>Bad gateway</body></html>", "forbidden"),
            ("slow\x1b[31m down\r\n", "slow [31m down"),
            ("", "forbidden"),
        ] {
            assert_eq!(detail_of(StatusCode::FORBIDDEN, body.as_bytes()), expected, "{body}");
        }
    }
}
