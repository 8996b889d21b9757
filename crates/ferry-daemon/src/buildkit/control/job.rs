//! One build that a client has named: its progress, and what passes between its calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferry_engine::build::Built;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::progress::Progress;
use crate::buildkit::session::SessionId;

/// Results that one build may keep for later calls.
const MAX_RESULTS: usize = 256;

/// What a client that drives the build itself returns: a result to export, or none.
pub(crate) type Returned = Result<Option<Arc<Built>>, Status>;

/// One build.
#[derive(Debug, Default)]
pub(crate) struct Job {
    progress: Arc<Progress>,
    ended: CancellationToken,
    drive: Mutex<Option<Drive>>,
}

/// The state of a build that the client drives: `Control.Solve` waits while the client calls
/// `LLBBridge.Solve` and then `LLBBridge.Return`.
#[derive(Debug)]
struct Drive {
    session: SessionId,
    results: HashMap<String, Arc<Built>>,
    returned: Option<oneshot::Sender<Returned>>,
}

impl Job {
    /// What it tells.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Ends it: nothing more will be told, and calls that belong to it give up.
    pub(super) fn end(&self) {
        self.progress.complete();
        self.ended.cancel();
    }

    /// A build that the client drives, with its files in `session`. What it returns comes out of the receiver.
    pub(super) fn driven_by_client(session: SessionId) -> (Self, oneshot::Receiver<Returned>) {
        let (sender, receiver) = oneshot::channel();
        let job = Self {
            drive: Mutex::new(Some(Drive {
                session,
                results: HashMap::new(),
                returned: Some(sender),
            })),
            ..Self::default()
        };
        (job, receiver)
    }

    /// The session of the client that drives the build.
    pub(crate) fn driver(&self) -> Result<SessionId, Status> {
        let drive = self.lock();
        let drive = drive.as_ref().ok_or_else(not_driven)?;
        Ok(drive.session.clone())
    }

    /// Keeps a result under `name` for later calls of the client.
    pub(crate) fn keep(&self, name: String, result: Arc<Built>) -> Result<(), Status> {
        let mut drive = self.lock();
        let drive = drive.as_mut().ok_or_else(not_driven)?;
        if drive.results.len() >= MAX_RESULTS {
            return Err(Status::resource_exhausted("too many results in one build"));
        }
        drive.results.insert(name, result);
        Ok(())
    }

    /// The result that was kept under `name`.
    pub(crate) fn result(&self, name: &str) -> Result<Arc<Built>, Status> {
        let drive = self.lock();
        let drive = drive.as_ref().ok_or_else(not_driven)?;
        let result = drive.results.get(name).cloned();
        result.ok_or_else(|| Status::not_found(format!("no such ref: {name}")))
    }

    /// Takes what the client returns. Only its first word counts.
    pub(crate) fn give_back(&self, returned: Returned) -> Result<(), Status> {
        let mut drive = self.lock();
        let drive = drive.as_mut().ok_or_else(not_driven)?;
        let sender = drive
            .returned
            .take()
            .ok_or_else(|| Status::failed_precondition("the build has returned already"))?;
        // The receiver is gone when the build was cancelled; then nobody minds.
        let _ = sender.send(returned);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Drive>> {
        self.drive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_driven() -> Status {
    Status::failed_precondition("the build is not driven by its client")
}
