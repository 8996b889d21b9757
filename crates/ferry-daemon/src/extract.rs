//! Request bodies and queries, read within bounds and with Go's words for what is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// No JSON body may be larger.
const MAX_BODY_LEN: usize = 4 << 20;

/// A JSON body. An empty one is `null`, as Go's clients send none for empty options.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let body = read_body(request).await?;
        parse_json(&body).map(Self)
    }
}

/// Parses JSON that a client sent.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("invalid JSON: {error}")))
}

/// The whole body, within its bound.
pub(crate) async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    match Limited::new(request.into_body(), MAX_BODY_LEN).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            axum::http::StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request's body is larger than {MAX_BODY_LEN} bytes"),
        )),
        Err(error) => Err(ApiError::bad_request(format!(
            "cannot read the request's body: {error}"
        ))),
    }
}

/// A query, with an error in the API's shape.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

/// A truth value as Docker reads it: empty, `0`, `no`, `false` and `none` are false, all else is true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let text = text.trim().to_ascii_lowercase();
        Ok(Self(!matches!(text.as_str(), "" | "0" | "no" | "false" | "none")))
    }
}

/// The API's filters: a map of lists or, from old clients, of maps. Source: Docker Engine API
/// `ContainerList`, parameter `filters`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(std::collections::BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the query's value; keys other than `allowed` are refused with Docker's words.
    pub(crate) fn parse(text: Option<&str>, allowed: &[&str]) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            List(Vec<String>),
            Map(std::collections::BTreeMap<String, bool>),
        }
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let map: std::collections::BTreeMap<String, Values> =
            serde_json::from_str(text).map_err(|error| ApiError::bad_request(format!("invalid filter: {error}")))?;
        if let Some(unknown) = map.keys().find(|key| !allowed.contains(&key.as_str())) {
            return Err(ApiError::bad_request(format!("invalid filter '{unknown}'")));
        }
        let values = |values| match values {
            Values::List(list) => list,
            Values::Map(map) => map.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect(),
        };
        Ok(Self(map.into_iter().map(|(key, list)| (key, values(list))).collect()))
    }

    /// The values of a key.
    pub(crate) fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
}
