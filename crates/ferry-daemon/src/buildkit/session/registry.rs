//! The sessions that are open now, found by the id that their clients gave them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{SessionId, SessionIdError};
use crate::buildkit::transport::{self, Channel};

const HEADER_ID: &str = "x-docker-expose-session-uuid";
const HEADER_NAME: &str = "x-docker-expose-session-name";
const HEADER_SHARED_KEY: &str = "x-docker-expose-session-sharedkey";
const HEADER_METHOD: &str = "x-docker-expose-session-grpc-method";

/// Methods that a client may announce; real ones announce about a dozen.
const MAX_METHODS: usize = 256;
/// Sessions open at once.
const MAX_SESSIONS: usize = 4096;

/// What a client says of its session when it opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// Its name for later calls.
    pub id: SessionId,
    /// A name for people; often the folder of the build.
    pub name: String,
    /// Builds with the same key send the same files again; empty when the client gave none.
    pub shared_key: String,
    /// The methods it answers, `/package.service/method`, in lower case.
    methods: HashSet<String>,
}

/// Why a session cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The id is missing or malformed.
    #[error(transparent)]
    Id(#[from] SessionIdError),
    /// A session of this id is open.
    #[error("session {0} already exists")]
    Exists(SessionId),
    /// Too many are open.
    #[error("too many sessions: {MAX_SESSIONS} are open")]
    TooMany,
    /// The client announced more methods than there can be.
    #[error("session {0} announces more than {MAX_METHODS} methods")]
    TooManyMethods(SessionId),
    /// No session of this id is open.
    #[error("no active session for {0}")]
    NotFound(SessionId),
    /// The session does not answer the method.
    #[error("session {id} does not offer {method}")]
    Unsupported {
        /// The session.
        id: SessionId,
        /// The method, `/package.Service/Method`.
        method: &'static str,
    },
    /// HTTP/2 could not begin.
    #[error("session {id}: {source}")]
    Transport {
        /// The session.
        id: SessionId,
        /// Why.
        source: hyper::Error,
    },
}

impl Announcement {
    /// Reads the headers of `POST /session`, or the metadata of `Control.Session`: both use the same names.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, SessionError> {
        let id: SessionId = text(headers, HEADER_ID).parse()?;
        let methods: HashSet<String> = headers
            .get_all(HEADER_METHOD)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_ascii_lowercase)
            .take(MAX_METHODS + 1)
            .collect();
        if methods.len() > MAX_METHODS {
            return Err(SessionError::TooManyMethods(id));
        }
        Ok(Self {
            id,
            name: text(headers, HEADER_NAME).to_owned(),
            shared_key: text(headers, HEADER_SHARED_KEY).to_owned(),
            methods,
        })
    }
}

/// The sessions that are open now; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<HashMap<SessionId, Session>>,
    opened: Notify,
}

/// One open session; cheap to clone. Calls fail once it has closed.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    announcement: Arc<Announcement>,
    channel: Channel,
    closed: CancellationToken,
}

impl Sessions {
    /// Opens the session that was announced, on `io`, and carries it until the client closes it.
    ///
    /// Refused before a byte of `io` is read: an id that is in use. When the future ends or is dropped,
    /// the session is closed and found no more.
    pub(crate) async fn run<I>(&self, io: I, announcement: Announcement) -> Result<(), SessionError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let id = announcement.id.clone();
        let transport = |source| SessionError::Transport { id: id.clone(), source };
        let (channel, connection) = transport::connect(io).await.map_err(transport)?;
        let session = Session {
            announcement: Arc::new(announcement),
            channel,
            closed: CancellationToken::new(),
        };
        let _closes = self.insert(&session)?;
        connection.await.map_err(transport)
    }

    /// Finds a session by its id, waiting up to `patience` for a client that is about to open it.
    pub(crate) async fn find(&self, id: &SessionId, patience: Duration) -> Result<Session, SessionError> {
        let search = async {
            loop {
                let opened = self.shared.opened.notified();
                tokio::pin!(opened);
                opened.as_mut().enable();
                if let Some(session) = self.lock().get(id).cloned() {
                    return session;
                }
                opened.await;
            }
        };
        tokio::time::timeout(patience, search)
            .await
            .map_err(|_elapsed| SessionError::NotFound(id.clone()))
    }

    fn insert(&self, session: &Session) -> Result<Open<'_>, SessionError> {
        let id = session.id().clone();
        let mut open = self.lock();
        if open.len() >= MAX_SESSIONS {
            return Err(SessionError::TooMany);
        }
        if open.contains_key(&id) {
            return Err(SessionError::Exists(id));
        }
        open.insert(id.clone(), session.clone());
        drop(open);
        self.shared.opened.notify_waiters();
        Ok(Open {
            sessions: self,
            id,
            _closes: session.closed.clone().drop_guard(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's entry in the registry; dropping it removes the entry and closes the session.
struct Open<'a> {
    sessions: &'a Sessions,
    id: SessionId,
    _closes: DropGuard,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}

impl Session {
    /// Its id.
    pub(crate) fn id(&self) -> &SessionId {
        &self.announcement.id
    }

    /// Builds with the same key send the same files again; empty when the client gave none.
    pub(crate) fn shared_key(&self) -> &str {
        &self.announcement.shared_key
    }

    /// The channel for calls of `method`, `/package.Service/Method`; refused when the client does not offer it.
    pub(crate) fn channel_for(&self, method: &'static str) -> Result<Channel, SessionError> {
        if self.offers(method) {
            return Ok(self.channel.clone());
        }
        Err(SessionError::Unsupported {
            id: self.id().clone(),
            method,
        })
    }

    /// Whether the client announced `method`. Case does not matter, as in BuildKit.
    pub(crate) fn offers(&self, method: &str) -> bool {
        self.announcement.methods.contains(&method.to_ascii_lowercase())
    }

    /// Ends when the session has closed.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
