//! A query whose keys may come more than once, and the values that image endpoints take.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ferry_engine::image::Platforms;
use ferry_oci::{Platform, Reference};
use serde::Deserialize;

use crate::error::ApiError;
use crate::extract::Query;

/// The pairs of a query, in order.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::from_request_parts(parts, state).await?;
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The first value of `key` that is not empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, value)| name == key && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of `key` that are not empty.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(name, _)| name == key);
        pairs.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether `key` is set to a truth.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|value| !matches!(value, "0" | "no" | "false" | "none"))
    }

    /// The one platform of `key`.
    pub(super) fn platform(&self, key: &str) -> Result<Option<Platform>, ApiError> {
        self.get(key).map(parse_platform).transpose()
    }

    /// The platforms of `key`, each value one of them in JSON, or several with commas.
    pub(super) fn platforms(&self, key: &str) -> Result<Vec<Platform>, ApiError> {
        let mut platforms = Vec::new();
        for value in self.all(key) {
            if value.starts_with('{') {
                platforms.push(parse_platform(value)?);
                continue;
            }
            for part in value.split(',').filter(|part| !part.is_empty()) {
                platforms.push(parse_platform(part)?);
            }
        }
        Ok(platforms)
    }

    /// The platforms that a transfer is about: `platform`, or `allPlatforms`.
    pub(super) fn transfer_platforms(&self) -> Result<Platforms, ApiError> {
        if self.is_set("allPlatforms") {
            return Ok(Platforms::All);
        }
        Ok(match self.platforms("platform")? {
            none if none.is_empty() => Platforms::Best,
            some => Platforms::These(some),
        })
    }
}

/// `os/architecture[/variant]`, or OCI's JSON, as newer parameters of Docker's API have it.
fn parse_platform(text: &str) -> Result<Platform, ApiError> {
    #[derive(Deserialize)]
    struct Json {
        os: Option<String>,
        architecture: Option<String>,
        variant: Option<String>,
    }
    let malformed = |reason: String| ApiError::bad_request(format!("invalid platform {text:?}: {reason}"));
    if !text.starts_with('{') {
        return text
            .parse()
            .map_err(|error: ferry_oci::PlatformError| malformed(error.to_string()));
    }
    let json: Json = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let part = |part: Option<String>| part.filter(|part| !part.is_empty());
    let (Some(os), Some(architecture)) = (part(json.os), part(json.architecture)) else {
        return Err(malformed("os and architecture are needed".to_owned()));
    };
    let text = match part(json.variant) {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    };
    text.parse()
        .map_err(|error: ferry_oci::PlatformError| malformed(error.to_string()))
}

/// A name and the tag or digest that comes beside it, which wins over one in the name.
pub(super) fn reference(name: &str, tag: Option<&str>) -> Result<Reference, ApiError> {
    let invalid = |error: ferry_oci::ReferenceError| ApiError::bad_request(error.to_string());
    let reference = Reference::parse(name).map_err(invalid)?;
    match tag {
        None => Ok(reference),
        Some(digest) if digest.contains(':') => {
            let digest = digest
                .parse()
                .map_err(|error: ferry_oci::DigestError| ApiError::bad_request(error.to_string()))?;
            Ok(reference.with_digest(digest))
        }
        // A digest in the name is what is meant, whatever tag comes beside it.
        Some(_) if reference.digest().is_some() => Ok(reference),
        Some(tag) => reference.with_tag(tag).map_err(invalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        let owned = |text: &&str| (*text).to_owned();
        Parameters(pairs.iter().map(|(key, value)| (owned(key), owned(value))).collect())
    }

    #[test]
    fn platforms_in_every_form() {
        let text = |platforms: Vec<Platform>| platforms.iter().map(ToString::to_string).collect::<Vec<_>>();
        let asked = parameters(&[
            ("platform", "linux/amd64,linux/arm64"),
            ("platform", r#"{"os":"linux","architecture":"arm","variant":"v7"}"#),
            ("platform", ""),
        ]);
        let platforms = asked.platforms("platform").expect("platforms");
        assert_eq!(text(platforms), ["linux/amd64", "linux/arm64", "linux/arm/v7"]);
        for wrong in ["{", "{}", r#"{"os":"linux"}"#, "linux/", "a/b/c/d/e"] {
            assert!(
                parameters(&[("platform", wrong)]).platforms("platform").is_err(),
                "{wrong}"
            );
        }
        let all = parameters(&[("allPlatforms", "1"), ("platform", "linux/amd64")]);
        assert_eq!(all.transfer_platforms().expect("all"), Platforms::All);
        assert_eq!(
            Parameters::default().transfer_platforms().expect("best"),
            Platforms::Best
        );
    }

    #[test]
    fn a_tag_beside_the_name_wins() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let at_digest = format!("busybox@{digest}");
        for (name, tag, expect) in [
            ("busybox", None, "docker.io/library/busybox:latest".to_owned()),
            ("busybox:1", Some("2"), "docker.io/library/busybox:2".to_owned()),
            (
                "busybox",
                Some(digest.as_str()),
                format!("docker.io/library/{at_digest}"),
            ),
            (&at_digest, Some("2"), format!("docker.io/library/{at_digest}")),
        ] {
            let found = reference(name, tag).expect("a reference").to_string();
            assert_eq!(found, expect, "{name} {tag:?}");
        }
        assert!(reference("Busybox", None).is_err());
        assert!(reference("busybox", Some("a b")).is_err());
    }
}
