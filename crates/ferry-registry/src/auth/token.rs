//! Tokens: asked for at a token server, kept until they expire.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ferry_oci::Digest;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::Scopes;
use crate::registry_error::detail_of;
use crate::transport::{Answer, Call, Payload};
use crate::{Credential, Error};

/// Answers of token servers are not read further.
const MAX_TOKEN_LEN_BYTES: usize = 1 << 20;
/// A token without `expires_in` lives this long, and none is taken to live shorter.
/// Source: distribution's `spec/auth/token.md`.
const MIN_LIFETIME: Duration = Duration::from_secs(60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Tokens are renewed this long before they expire.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);
/// Tokens kept; when full, all are forgotten.
const MAX_CACHED: usize = 256;
/// The name under which Ferry asks for tokens.
const CLIENT_ID: &str = "ferry";

/// A bearer token. Never printed.
#[derive(Clone)]
pub(super) struct Token {
    header: HeaderValue,
    expires: Instant,
    /// A refresh token, when one was asked for.
    pub(super) refresh: Option<String>,
}

impl Token {
    /// The `Authorization` header.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// Identifies a token: who asked whom for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenKey {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scopes: Scopes,
    /// Digest of the credential, so that two users of one client never share a token.
    pub(super) credential: Option<Digest>,
}

/// All tokens of one client.
#[derive(Default)]
pub(crate) struct TokenCache(Mutex<HashMap<TokenKey, Token>>);

impl TokenCache {
    pub(super) fn get(&self, key: &TokenKey) -> Option<Token> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(key)
            .filter(|token| Instant::now() + EXPIRY_MARGIN < token.expires)
            .cloned()
    }

    pub(super) fn put(&self, key: TokenKey, token: Token) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_CACHED {
            tokens.clear();
        }
        tokens.insert(key, token);
    }

    /// Forgets a token that the registry refused.
    pub(super) fn forget(&self, refused: &HeaderValue) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.header != *refused);
    }
}

/// A digest that stands for a credential in cache keys.
pub(super) fn fingerprint(credential: &Credential) -> Digest {
    match credential {
        Credential::Basic { username, password } => {
            Digest::of(format!("basic\0{}\0{username}{password}", username.len()).as_bytes())
        }
        Credential::IdentityToken(token) => Digest::of(format!("identity\0{token}").as_bytes()),
        Credential::Bearer(token) => Digest::of(format!("bearer\0{token}").as_bytes()),
    }
}

/// Whether a refresh token is wanted beside the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    Yes,
    No,
}

/// The request for a token: GET with scope and service, or for identity tokens OAuth2's POST.
pub(super) fn token_request(
    realm: Url,
    service: Option<&str>,
    scopes: &Scopes,
    credential: Option<&Credential>,
    lasting: Lasting,
) -> Call {
    if let Some(Credential::IdentityToken(refresh_token)) = credential {
        return oauth2_request(realm, service, scopes, refresh_token);
    }
    let mut url = realm;
    {
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scopes.iter() {
            query.append_pair("scope", scope);
        }
        if let Some(Credential::Basic { username, .. }) = credential {
            query.append_pair("account", username);
        }
        query.append_pair("client_id", CLIENT_ID);
        if lasting == Lasting::Yes {
            query.append_pair("offline_token", "true");
        }
    }
    let call = Call::new(Method::GET, url);
    match credential.and_then(basic_header) {
        Some(header) => call.header(AUTHORIZATION, header),
        None => call,
    }
}

/// Source: distribution's `spec/auth/oauth.md`.
fn oauth2_request(realm: Url, service: Option<&str>, scopes: &Scopes, refresh_token: &str) -> Call {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("refresh_token", refresh_token);
    form.append_pair("client_id", CLIENT_ID);
    if let Some(service) = service {
        form.append_pair("service", service);
    }
    let scope = scopes.joined();
    if !scope.is_empty() {
        form.append_pair("scope", &scope);
    }
    Call::new(Method::POST, realm)
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        )
        .payload(Payload::Bytes(Bytes::from(form.finish())))
}

/// The `Authorization` header of name and password.
pub(super) fn basic_header(credential: &Credential) -> Option<HeaderValue> {
    let Credential::Basic { username, password } = credential else {
        return None;
    };
    let mut header =
        HeaderValue::try_from(format!("Basic {}", BASE64.encode(format!("{username}:{password}")))).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The `Authorization` header of a bearer token; `None` when it holds what no header may.
pub(super) fn bearer_header(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
    refresh_token: Option<String>,
}

/// What a token server said.
pub(super) enum Granted {
    Token(Token),
    /// Refused, in its own words.
    Refused(StatusCode, String),
}

/// Reads the answer of a token server.
pub(super) async fn read_answer(answer: Answer) -> Result<Granted, Error> {
    let (line, status) = (answer.line.clone(), answer.status);
    let body = answer.bytes(MAX_TOKEN_LEN_BYTES).await?;
    if !status.is_success() {
        return Ok(Granted::Refused(status, detail_of(status, &body)));
    }
    let malformed = |problem| Error::Protocol {
        request: line.clone(),
        problem,
    };
    let parsed: TokenAnswer =
        serde_json::from_slice(&body).map_err(|_| malformed("token server's answer is not a token"))?;
    let text = [parsed.token, parsed.access_token]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
        .ok_or_else(|| malformed("token server's answer has no token"))?;
    let lifetime = parsed
        .expires_in
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(MIN_LIFETIME)
        .clamp(MIN_LIFETIME, MAX_LIFETIME);
    Ok(Granted::Token(Token {
        header: bearer_header(&text).ok_or_else(|| malformed("token cannot be sent in a header"))?,
        expires: Instant::now() + lifetime,
        refresh: parsed.refresh_token.filter(|token| !token.is_empty()),
    }))
}
