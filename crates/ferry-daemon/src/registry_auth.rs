//! Registry credentials in the headers of a request: `X-Registry-Auth`.
//!
//! The header is JSON in base64 for URLs, with or without padding. Source: Docker Engine API, "Authentication".

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ferry_oci::Reference;
use ferry_registry::{Anonymous, Credential, Credentials, ForOneRegistry};
use http::HeaderMap;
use serde::Deserialize;

use crate::error::ApiError;

const HEADER: &str = "x-registry-auth";
/// Longest header that is decoded, in bytes; tokens are a few thousand.
const MAX_HEADER_BYTES: usize = 64 << 10;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// What clients know of a person at a registry. Old ones send `email`, too; it is not used.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuthConfig {
    #[serde(alias = "Username")]
    username: Option<String>,
    #[serde(alias = "Password")]
    password: Option<String>,
    /// `username:password` in base64, as it stands in config.json.
    auth: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
    #[serde(alias = "ServerAddress")]
    serveraddress: Option<String>,
}

/// The credentials in `headers`, for the registry of `reference` and no other.
pub(crate) fn for_reference(headers: &HeaderMap, reference: &Reference) -> Result<Box<dyn Credentials>, ApiError> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(Box::new(Anonymous));
    };
    let malformed = || ApiError::bad_request("invalid X-Registry-Auth header: it must be JSON in base64");
    if value.len() > MAX_HEADER_BYTES {
        return Err(malformed());
    }
    let bytes = value.as_bytes().trim_ascii();
    let json = URL_SAFE
        .decode(bytes)
        .or_else(|_not_url_safe| STANDARD.decode(bytes))
        .map_err(|_not_base64| malformed())?;
    if json.is_empty() {
        return Ok(Box::new(Anonymous));
    }
    let config: Option<AuthConfig> = serde_json::from_slice(&json).map_err(|_not_json| malformed())?;
    Ok(match config.and_then(|config| config.credential()) {
        Some(credential) => Box::new(ForOneRegistry {
            domain: reference.domain().to_owned(),
            credential,
        }),
        None => Box::new(Anonymous),
    })
}

impl AuthConfig {
    /// The one credential that it holds; `None` when it holds nothing to prove oneself with.
    pub(crate) fn credential(&self) -> Option<Credential> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.registrytoken) {
            return Some(Credential::Bearer(token));
        }
        if let Some(token) = set(&self.identitytoken) {
            return Some(Credential::IdentityToken(token));
        }
        if let Some(username) = set(&self.username) {
            return Some(Credential::Basic {
                username,
                password: self.password.clone().unwrap_or_default(),
            });
        }
        let pair = STANDARD.decode(set(&self.auth)?).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        let (username, password) = pair.split_once(':')?;
        Some(Credential::Basic {
            username: username.to_owned(),
            // Docker pads what it stores with NULs.
            password: password.trim_end_matches('\0').to_owned(),
        })
    }

    /// The domain of the registry that is meant; Docker Hub goes by several addresses.
    pub(crate) fn domain(&self) -> String {
        let address = self.serveraddress.as_deref().unwrap_or_default();
        let host = address
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .split('/')
            .next()
            .unwrap_or_default();
        match host {
            "" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn config(json: &str) -> AuthConfig {
        serde_json::from_str(json).expect("a test's JSON")
    }

    fn basic(username: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        })
    }

    #[test]
    fn every_shape_of_credential() {
        for (json, expect) in [
            ("{}", None),
            (r#"{"username":"a","password":"b","email":""}"#, basic("a", "b")),
            (r#"{"auth":"YTpiOmM="}"#, basic("a", "b:c")),
            (r#"{"auth":"***"}"#, None),
            (
                r#"{"identitytoken":"t"}"#,
                Some(Credential::IdentityToken("t".to_owned())),
            ),
            (r#"{"registrytoken":"t"}"#, Some(Credential::Bearer("t".to_owned()))),
        ] {
            assert_eq!(config(json).credential(), expect, "{json}");
        }
    }

    #[test]
    fn the_hub_has_one_domain() {
        for (address, domain) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("https://r.example/v2/", "r.example"),
        ] {
            let json = format!(r#"{{"serveraddress":"{address}"}}"#);
            assert_eq!(config(&json).domain(), domain);
        }
    }

    #[tokio::test]
    async fn headers_are_decoded_for_one_registry_alone() {
        let reference = Reference::parse("localhost:5000/a").expect("a reference");
        // {"username":"a>?","password":"b"} in both alphabets, with and without padding.
        for header in [
            "eyJ1c2VybmFtZSI6ImE-PyIsInBhc3N3b3JkIjoiYiJ9",
            "eyJ1c2VybmFtZSI6ImE+PyIsInBhc3N3b3JkIjoiYiJ9",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(header));
            let credentials = for_reference(&headers, &reference).expect("credentials");
            assert_eq!(credentials.for_registry("localhost:5000").await, basic("a>?", "b"));
            assert_eq!(credentials.for_registry("docker.io").await, None);
        }
        for (header, is_valid) in [
            ("", true),
            ("e30", true),
            ("bnVsbA==", true),
            ("!", false),
            ("e30x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(header));
            assert_eq!(for_reference(&headers, &reference).is_ok(), is_valid, "{header}");
        }
    }
}
