//! Proves to one registry who one is, and to nobody else.

pub(crate) mod challenge;
mod realm;
mod scope;
mod token;

use std::sync::{Mutex, PoisonError};

use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};

use self::challenge::Bearer;
pub(crate) use self::challenge::Challenge;
use self::realm::{Carries, checked_realm};
pub(crate) use self::scope::Scopes;
pub(crate) use self::token::TokenCache;
use self::token::{
    Granted, Lasting, Token, TokenKey, basic_header, bearer_header, fingerprint, read_answer, token_request,
};
use crate::endpoint::{Registry, Scheme};
use crate::error::CredentialUse;
use crate::transport::Transport;
use crate::{Access, Credential, Error};

/// Answers one registry's challenges for one operation.
pub(crate) struct Authorizer {
    registry: Registry,
    scheme: Scheme,
    access: Access,
    credential: Option<Credential>,
    trusted_realms: Vec<String>,
    challenge: Mutex<Option<Challenge>>,
    /// Held while a token is fetched, so that parallel requests fetch one.
    renewal: tokio::sync::Mutex<()>,
}

/// What to do after a 401.
pub(crate) enum AfterRefusal {
    /// Send again: the next header will differ. Holds the scope that the registry wants.
    Again(Option<String>),
    /// There is nothing better to send.
    GiveUp,
}

impl Authorizer {
    pub(crate) fn new(
        registry: Registry,
        scheme: Scheme,
        access: Access,
        credential: Option<Credential>,
        trusted_realms: Vec<String>,
        known: Option<Challenge>,
    ) -> Self {
        Self {
            registry,
            scheme,
            access,
            credential,
            trusted_realms,
            challenge: Mutex::new(known),
            renewal: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether there is a credential to send.
    pub(crate) fn credential_use(&self) -> CredentialUse {
        match self.credential {
            Some(_) => CredentialUse::Sent,
            None => CredentialUse::Anonymous,
        }
    }

    /// What the registry has asked for, to be remembered for the next operation.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `Authorization` header for a request to the registry itself; `None` before it has asked.
    pub(crate) async fn header(
        &self,
        transport: &Transport,
        tokens: &TokenCache,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, Error> {
        match (self.challenge(), &self.credential) {
            (None | Some(Challenge::Other(_)), _) => Ok(None),
            (Some(Challenge::Basic), credential) => Ok(credential.as_ref().and_then(basic_header)),
            (Some(Challenge::Bearer(_)), Some(Credential::Bearer(token))) => Ok(bearer_header(token)),
            (Some(Challenge::Bearer(bearer)), _) => {
                let token = self.token(transport, tokens, &bearer, scopes).await?;
                Ok(Some(token.header()))
            }
        }
    }

    /// Learns from a 401 to a request that carried `sent`.
    pub(crate) fn refused(
        &self,
        tokens: &TokenCache,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<AfterRefusal, Error> {
        let Some(challenge) = challenge::preferred(headers) else {
            return Ok(AfterRefusal::GiveUp);
        };
        let after = match (&challenge, &self.credential) {
            (Challenge::Other(scheme), _) => {
                return Err(Error::Challenge {
                    registry: self.registry.domain.clone(),
                    scheme: scheme.chars().take(40).collect(),
                });
            }
            (Challenge::Basic, Some(Credential::Basic { .. })) if sent.is_none() => AfterRefusal::Again(None),
            (Challenge::Basic, _) => AfterRefusal::GiveUp,
            (Challenge::Bearer(_), Some(Credential::Bearer(_))) if sent.is_some() => AfterRefusal::GiveUp,
            (Challenge::Bearer(bearer), _) => {
                if let Some(token) = sent {
                    tokens.forget(token);
                }
                AfterRefusal::Again(bearer.scope.clone())
            }
        };
        let remembered = match challenge {
            // The scope belongs to the one request that was refused.
            Challenge::Bearer(bearer) => Challenge::Bearer(Bearer { scope: None, ..bearer }),
            other => other,
        };
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
        Ok(after)
    }

    /// A refresh token in place of the password, where the token server offers one.
    pub(crate) async fn refresh_token(&self, transport: &Transport) -> Result<Option<String>, Error> {
        match self.challenge() {
            Some(Challenge::Bearer(bearer)) if matches!(self.credential, Some(Credential::Basic { .. })) => {
                let token = self.fetch(transport, &bearer, &Scopes::none(), Lasting::Yes).await?;
                Ok(token.refresh)
            }
            _ => Ok(None),
        }
    }

    async fn token(
        &self,
        transport: &Transport,
        tokens: &TokenCache,
        bearer: &Bearer,
        scopes: &Scopes,
    ) -> Result<Token, Error> {
        let key = TokenKey {
            realm: bearer.realm.clone(),
            service: bearer.service.clone(),
            scopes: scopes.clone(),
            credential: self.credential.as_ref().map(fingerprint),
        };
        if let Some(token) = tokens.get(&key) {
            return Ok(token);
        }
        let _renewal = self.renewal.lock().await;
        if let Some(token) = tokens.get(&key) {
            return Ok(token);
        }
        let token = self.fetch(transport, bearer, scopes, Lasting::No).await?;
        tokens.put(key, token.clone());
        Ok(token)
    }

    async fn fetch(
        &self,
        transport: &Transport,
        bearer: &Bearer,
        scopes: &Scopes,
        lasting: Lasting,
    ) -> Result<Token, Error> {
        let credential = self.credential.as_ref();
        let carries = if credential.is_some() {
            Carries::Credential
        } else {
            Carries::Nothing
        };
        let realm = checked_realm(
            &self.registry,
            self.scheme,
            &bearer.realm,
            carries,
            &self.trusted_realms,
            transport.policy(),
        )?;
        let call = token_request(realm, bearer.service.as_deref(), scopes, credential, lasting);
        // Redirects of token servers are not followed: the credential would go along.
        let answer = transport.send(&call).await?;
        let line = answer.line.clone();
        match read_answer(answer).await? {
            Granted::Token(token) => Ok(token),
            Granted::Refused(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST, detail)
                if credential.is_some() =>
            {
                Err(Error::Unauthorized {
                    registry: self.registry.domain.clone(),
                    subject: self.registry.domain.clone(),
                    access: self.access,
                    credential: self.credential_use(),
                    detail,
                })
            }
            Granted::Refused(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, detail) => Err(Error::Unauthorized {
                registry: self.registry.domain.clone(),
                subject: self.registry.domain.clone(),
                access: self.access,
                credential: CredentialUse::Anonymous,
                detail,
            }),
            Granted::Refused(status, detail) => Err(Error::Status {
                request: line,
                status,
                detail,
            }),
        }
    }
}
