//! One operation on one repository: finds the scheme, proves identity, follows redirects, tries again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::auth::{AfterRefusal, Authorizer, Challenge, Scopes, TokenCache};
use crate::endpoint::{Registry, Scheme, Trust, same_origin};
use crate::error::RedirectProblem;
use crate::registry_error::detail_of;
use crate::retry::{Backoff, is_transient, is_transient_status, retry_after};
use crate::transport::{Answer, Call, Transport};
use crate::{Access, Config, Credential, Error, MAX_REDIRECTS, RequestLine, TransportError};

/// Refusals of registries are not read further.
const MAX_ERROR_LEN_BYTES: usize = 1 << 20;
/// Answers 401 to one request before it is given up: an unknown challenge, an outdated token.
const MAX_REFUSALS: usize = 2;

/// What all operations of a client share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) transport: Transport,
    pub(crate) tokens: TokenCache,
    known: Mutex<HashMap<String, Known>>,
}

/// What is remembered of a registry between operations.
#[derive(Clone)]
struct Known {
    scheme: Scheme,
    challenge: Option<Challenge>,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Result<Self, Error> {
        let config = Arc::new(config);
        Ok(Self {
            transport: Transport::new(Arc::clone(&config))?,
            tokens: TokenCache::default(),
            known: Mutex::new(HashMap::new()),
            config,
        })
    }

    fn known(&self, domain: &str) -> Option<Known> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(domain)
            .cloned()
    }

    fn remember(&self, domain: &str, known: Known) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(domain.to_owned(), known);
    }

    fn forget(&self, domain: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(domain);
    }
}

/// An answer that was read whole.
pub(crate) struct Fetched {
    pub(crate) line: RequestLine,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    /// Whether it came from another host than the registry, after a redirect.
    pub(crate) is_foreign: bool,
}

/// Whether a request may be sent again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempts {
    Several,
    One,
}

/// An operation on one repository of one registry.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Registry,
    /// Path of the repository; empty for the registry itself.
    pub(crate) repository: String,
    base: Url,
    scheme: Scheme,
    access: Access,
    scopes: Scopes,
    authorizer: Authorizer,
    /// Once it has answered, a registry that cannot be connected to is a passing fault.
    was_reached: AtomicBool,
}

impl Session {
    /// Finds out how to speak to `domain`. No request is made where only https is allowed.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        domain: &str,
        repository: &str,
        access: Access,
        credential: Option<Credential>,
    ) -> Result<Self, Error> {
        let registry = Registry::new(domain, shared.transport.policy());
        let known = match shared.known(domain) {
            Some(known) => known,
            None => Known {
                scheme: find_scheme(shared, &registry).await?,
                challenge: None,
            },
        };
        let authorizer = Authorizer::new(
            registry.clone(),
            known.scheme,
            access,
            credential,
            shared.config.trusted_realms.clone(),
            known.challenge,
        );
        Ok(Self {
            base: registry.url(known.scheme, "")?,
            scheme: known.scheme,
            scopes: Scopes::repository(repository, access),
            shared: Arc::clone(shared),
            repository: repository.to_owned(),
            registry,
            access,
            authorizer,
            was_reached: AtomicBool::new(false),
        })
    }

    /// The URL of something in the repository: `manifests/latest`.
    pub(crate) fn url(&self, tail: &str) -> Result<Url, Error> {
        self.registry.url(self.scheme, &format!("{}/{tail}", self.repository))
    }

    /// The URL of the registry's own entry point.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// A `Location` that the registry gave, never weaker than the way it was reached: registries
    /// behind a TLS proxy often answer with `http`.
    pub(crate) fn location(&self, answer: &Answer, request_url: &Url) -> Result<Url, Error> {
        let malformed = || Error::Redirect {
            request: answer.line.clone(),
            problem: RedirectProblem::Malformed,
        };
        let mut url = request_url
            .join(answer.text("location").ok_or_else(malformed)?)
            .map_err(|_| malformed())?;
        let is_own_host = url.host_str() == request_url.host_str();
        if request_url.scheme() == "https" && url.scheme() == "http" {
            if !is_own_host || url.set_scheme("https").is_err() {
                return Err(Error::Redirect {
                    request: answer.line.clone(),
                    problem: RedirectProblem::Downgrade,
                });
            }
            if url.port() == Some(80) {
                let _ = url.set_port(request_url.port());
            }
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(malformed());
        }
        Ok(url)
    }

    /// The scopes that a session has, to be extended.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// What the registry's `Authorizer` can add to a login.
    pub(crate) async fn refresh_token(&self) -> Result<Option<String>, Error> {
        self.authorizer.refresh_token(&self.shared.transport).await
    }

    /// Sends a request and returns whatever is answered in the end, after authentication, redirects
    /// (GET and HEAD) and, with [`Attempts::Several`], pauses.
    pub(crate) async fn send(&self, call: &Call, attempts: Attempts) -> Result<Answer, Error> {
        self.send_scoped(call, &self.scopes, attempts).await
    }

    /// As [`Session::send`], with other scopes.
    pub(crate) async fn send_scoped(&self, call: &Call, scopes: &Scopes, attempts: Attempts) -> Result<Answer, Error> {
        let mut backoff = Backoff::new(self.shared.config.retry);
        loop {
            let outcome = self.attempt(call, scopes).await;
            let asked = match &outcome {
                Ok(answer) if is_transient_status(answer.status) => answer
                    .text("retry-after")
                    .and_then(|value| retry_after(value, SystemTime::now())),
                Err(error) if self.is_passing(error) => None,
                _ => return outcome,
            };
            if attempts == Attempts::One {
                return outcome;
            }
            let Some(pause) = backoff.pause(asked) else {
                return outcome;
            };
            tracing::debug!(request = %call.line(), ?pause, "trying again");
            if let Ok(answer) = outcome {
                drain(answer).await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// As [`Session::send`], and reads the whole body; a body that breaks counts as a failed attempt.
    pub(crate) async fn fetch(&self, call: &Call, limit: usize) -> Result<Fetched, Error> {
        let mut backoff = Backoff::new(self.shared.config.retry);
        loop {
            let answer = self.send(call, Attempts::Several).await?;
            let (line, status, headers) = (answer.line.clone(), answer.status, answer.headers.clone());
            let is_foreign = answer.is_foreign;
            let limit = if status.is_success() {
                limit
            } else {
                MAX_ERROR_LEN_BYTES
            };
            match answer.bytes(limit).await {
                Ok(bytes) => {
                    return Ok(Fetched {
                        line,
                        status,
                        headers,
                        bytes,
                        is_foreign,
                    });
                }
                Err(error) if is_transient(&error) => {
                    let Some(pause) = backoff.pause(None) else {
                        return Err(error);
                    };
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether to try again after `error`.
    pub(crate) fn is_passing(&self, error: &Error) -> bool {
        let is_unreachable = matches!(
            error,
            Error::Transport {
                cause: TransportError::Connect(_) | TransportError::ConnectTimeout(_),
                ..
            }
        );
        is_transient(error) && (!is_unreachable || self.was_reached.load(Ordering::Relaxed))
    }

    /// Turns an answer that is no success into an error about `what`.
    pub(crate) async fn refusal(&self, answer: Answer, what: &str) -> Error {
        let fetched = Fetched {
            line: answer.line.clone(),
            status: answer.status,
            headers: HeaderMap::new(),
            is_foreign: answer.is_foreign,
            bytes: answer.bytes(MAX_ERROR_LEN_BYTES).await.unwrap_or_default(),
        };
        self.refusal_of(fetched, what)
    }

    /// As [`Session::refusal`], with the body already read.
    pub(crate) fn refusal_of(&self, answer: Fetched, what: &str) -> Error {
        let Fetched {
            line: request,
            status,
            bytes,
            is_foreign,
            ..
        } = answer;
        let detail = detail_of(status, &bytes);
        let registry = self.registry.domain.clone();
        let subject = match self.repository.as_str() {
            "" => registry.clone(),
            path => format!("{registry}/{path}"),
        };
        match status {
            // The credential is the registry's; what a redirect's host says of it means nothing.
            status if is_foreign => Error::Status {
                request,
                status,
                detail,
            },
            StatusCode::NOT_FOUND => Error::NotFound {
                what: what.to_owned(),
                registry,
            },
            StatusCode::UNAUTHORIZED => Error::Unauthorized {
                registry,
                subject,
                access: self.access,
                credential: self.authorizer.credential_use(),
                detail,
            },
            StatusCode::FORBIDDEN => Error::Forbidden {
                registry,
                subject,
                access: self.access,
                detail,
            },
            status => Error::Status {
                request,
                status,
                detail,
            },
        }
    }

    /// One attempt: the request, its authentication and its redirects.
    async fn attempt(&self, call: &Call, scopes: &Scopes) -> Result<Answer, Error> {
        let Shared { transport, tokens, .. } = &*self.shared;
        let mut hop = call.clone();
        let mut scopes = scopes.clone();
        let (mut hops, mut refusals) = (0, 0);
        loop {
            // The one place where a credential joins a request: only towards the registry itself.
            let is_own = same_origin(&hop.url, &self.base);
            hop.headers.remove(AUTHORIZATION);
            let mut sent = None;
            if is_own {
                sent = self.authorizer.header(transport, tokens, &scopes).await?;
                if let Some(header) = &sent {
                    hop.headers.insert(AUTHORIZATION, header.clone());
                }
            }
            let mut answer = transport.send(&hop).await?;
            answer.is_foreign = !is_own;
            if is_own && !self.was_reached.swap(true, Ordering::Relaxed) {
                self.remember();
            }
            if answer.status == StatusCode::UNAUTHORIZED && is_own && refusals < MAX_REFUSALS {
                if let AfterRefusal::Again(scope) = self.authorizer.refused(tokens, &answer.headers, sent.as_ref())? {
                    self.remember();
                    refusals += 1;
                    scopes = scopes.and_challenged(scope.as_deref());
                    drain(answer).await;
                    continue;
                }
            } else if is_redirect(&answer, &hop.method) {
                if hops == MAX_REDIRECTS {
                    return Err(Error::Redirect {
                        request: answer.line,
                        problem: RedirectProblem::TooMany,
                    });
                }
                hops += 1;
                hop.url = self.location(&answer, &hop.url)?;
                drain(answer).await;
                continue;
            }
            return Ok(answer);
        }
    }

    fn remember(&self) {
        let known = Known {
            scheme: self.scheme,
            challenge: self.authorizer.challenge(),
        };
        self.shared.remember(&self.registry.domain, known);
    }
}

impl Drop for Session {
    /// A registry that never answered may speak another scheme the next time.
    fn drop(&mut self) {
        if !self.was_reached.load(Ordering::Relaxed) {
            self.shared.forget(&self.registry.domain);
        }
    }
}

fn is_redirect(answer: &Answer, method: &Method) -> bool {
    matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) && (method == Method::GET || method == Method::HEAD)
}

/// Reads the little that is left of a body, so that the connection can be used again.
async fn drain(answer: Answer) {
    const MAX_DRAINED_LEN_BYTES: usize = 64 << 10;
    let _ = answer.bytes(MAX_DRAINED_LEN_BYTES).await;
}

/// https, or what a registry without proof of identity speaks: on this machine http is tried first
/// (a TLS server refuses it at once), elsewhere https first, as Docker does.
async fn find_scheme(shared: &Shared, registry: &Registry) -> Result<Scheme, Error> {
    let order = match registry.trust {
        Trust::Verified | Trust::Folder(_) => return Ok(Scheme::Https),
        Trust::Insecure => [Scheme::Https, Scheme::Http],
        Trust::Loopback => [Scheme::Http, Scheme::Https],
    };
    let mut backoff = Backoff::new(shared.config.retry);
    loop {
        let mut first_error = None;
        for scheme in order {
            // Without a credential: the other side is not known yet.
            let call = Call::new(Method::GET, registry.url(scheme, "")?);
            match shared.transport.send(&call).await {
                Ok(answer) if scheme == Scheme::Http && !speaks_http(&answer) => {}
                Ok(answer) => {
                    drain(answer).await;
                    return Ok(scheme);
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let Some(error) = first_error else {
            return Ok(order[0]);
        };
        let is_unreachable = matches!(
            error,
            Error::Transport {
                cause: TransportError::Connect(_) | TransportError::ConnectTimeout(_),
                ..
            }
        );
        match backoff.pause(None) {
            Some(pause) if !is_unreachable => tokio::time::sleep(pause).await,
            _ => return Err(error),
        }
    }
}

/// A TLS server answers plain http with 400, or sends the client to https.
fn speaks_http(answer: &Answer) -> bool {
    answer.status != StatusCode::BAD_REQUEST && !answer.status.is_redirection()
}
