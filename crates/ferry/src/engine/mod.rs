//! The client's side of the Docker Engine API: where the engine is, one connection to it, requests and their answers.

pub(crate) mod address;
mod connection;
mod context;
mod error;
mod launch;
mod lines;
mod name;
mod progress;
mod request;

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;

pub(crate) use address::Address;
pub(crate) use connection::Duplex;
pub(crate) use context::{Surroundings, choose};
pub(crate) use error::Error;
pub(crate) use launch::Roots;
pub(crate) use lines::Lines;
pub(crate) use name::in_path;
pub(crate) use progress::Progress;
pub(crate) use request::{Body, Request, full, streamed};

use connection::Sender;
use http::Method;
use tokio::sync::Mutex;

/// Newest version of the API that this client was written for (Docker Engine API).
const NEWEST_API: ApiVersion = ApiVersion { major: 1, minor: 51 };

/// Whether an engine that does not answer may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The address was named by the user: its engine is not ours to start.
    IsAnError,
    /// Ferry's own socket: start the engine with these roots.
    Starts(Roots),
}

/// One engine to talk to. Nothing is connected before the first request.
pub(crate) struct Engine {
    address: Address,
    absence: Absence,
    /// What precedes each path: `/v1.44`, or nothing for Ferry's own engine, which is of our own version.
    prefix: OnceCell<String>,
    /// A connection that waits for its next request.
    idle: RefCell<Option<Sender>>,
    started: Cell<bool>,
    /// Held while the engine is started: a second request of this process waits here, and not in the lock between
    /// processes, where it would wait for itself.
    starting: Mutex<()>,
}

impl Engine {
    /// The engine at `address`. Ferry's own is spoken to without a version; another one's version is asked for once, or `version` says it.
    pub(crate) fn new(address: Address, absence: Absence, version: Option<&str>) -> Self {
        let prefix = match (version, &absence) {
            (Some(version), _) => OnceCell::from(format!("/v{version}")),
            (None, Absence::Starts(_)) => OnceCell::from(String::new()),
            (None, Absence::IsAnError) => OnceCell::new(),
        };
        Self {
            address,
            absence,
            prefix,
            idle: RefCell::new(None),
            started: Cell::new(false),
            starting: Mutex::new(()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A GET of `path`, which begins with a slash and carries no version.
    pub(crate) fn get(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::GET, path.into())
    }

    /// A POST to `path`.
    pub(crate) fn post(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::POST, path.into())
    }

    /// A PUT to `path`.
    pub(crate) fn put(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::PUT, path.into())
    }

    /// A HEAD of `path`.
    pub(crate) fn head(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::HEAD, path.into())
    }

    /// A DELETE of `path`.
    pub(crate) fn delete(&self, path: impl Into<String>) -> Request<'_> {
        Request::new(self, Method::DELETE, path.into())
    }

    /// A connection of one's own, without a request.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Duplex>, Error> {
        self.or_start(async || connection::dial(&self.address).await).await
    }

    /// A connection that is ready for a request: the idle one, or a new one.
    async fn connection(&self) -> Result<Sender, Error> {
        let idle = self.idle.borrow_mut().take();
        if let Some(mut sender) = idle
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        self.or_start(async || connection::open(&self.address).await).await
    }

    /// Connects; once more after starting the engine, if nobody listens and it is ours.
    async fn or_start<T>(&self, connect: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        match connect().await {
            Err(error) if error.nobody_listens() && !self.started.get() => {
                let Absence::Starts(roots) = &self.absence else {
                    return Err(error);
                };
                let _one = self.starting.lock().await;
                if !self.started.get() {
                    // Boxed: starting asks the new engine, and so comes by here again.
                    Box::pin(launch::start(&self.address, roots)).await?;
                    self.started.set(true);
                }
                connect().await
            }
            other => other,
        }
    }

    /// Keeps a connection whose answer was read to its end.
    fn keep(&self, sender: Sender) {
        self.idle.replace(Some(sender));
    }

    /// The version prefix of paths; asks the engine the first time, if it is not ours.
    async fn prefix(&self) -> Result<&str, Error> {
        if let Some(prefix) = self.prefix.get() {
            return Ok(prefix);
        }
        let offered = request::ping(self).await?;
        let version = offered.map_or(NEWEST_API, |offered| offered.min(NEWEST_API));
        Ok(self
            .prefix
            .get_or_init(|| format!("/v{}.{}", version.major, version.minor)))
    }
}

/// A version of the Docker Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

/// Version of the API this client prefers, as `1.51`.
pub(crate) fn newest_api() -> String {
    format!("{}.{}", NEWEST_API.major, NEWEST_API.minor)
}

/// The directory of an engine's sockets and locks: `FERRY_EXEC_ROOT`, or `/run/ferry`.
pub(crate) fn default_exec_root() -> PathBuf {
    std::env::var_os("FERRY_EXEC_ROOT").map_or_else(|| PathBuf::from("/run/ferry"), PathBuf::from)
}

/// The directory of an engine's images and records: `FERRY_DATA_ROOT`, or `/var/lib/ferry`.
pub(crate) fn default_data_root() -> PathBuf {
    std::env::var_os("FERRY_DATA_ROOT").map_or_else(|| PathBuf::from("/var/lib/ferry"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let old = ApiVersion::parse("1.9").expect("a version");
        assert!(old < ApiVersion::parse("1.41").expect("a version"));
        assert_eq!(ApiVersion::parse("1"), None);
    }
}
