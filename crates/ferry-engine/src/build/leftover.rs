//! Build steps that an engine left running when it died: nobody waits for them, so they are ended.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ferry_runtime::{Error, Monitor, Signal};

use crate::container;

/// Marks the state folder of a build step: unlike a container, it does not outlive its engine.
const MARK: &str = "build-step";
/// How long a killed process may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Marks `state_dir` as a build step's.
pub(super) fn mark(state_dir: &Path) -> Result<(), container::Error> {
    let path = state_dir.join(MARK);
    std::fs::write(&path, "").map_err(|source| container::Error::File { path, source })
}

/// Ends the build step in `state_dir`, if one is there and its monitor lives. Blocks until it is gone.
pub(crate) fn end(state_dir: &Path) {
    if !state_dir.join(MARK).exists() {
        return;
    }
    match kill(state_dir) {
        Ok(()) | Err(Error::Gone { .. }) => {}
        Err(error) => {
            tracing::warn!(path = %state_dir.display(), %error, "cannot end a build step of an engine before");
        }
    }
}

fn kill(state_dir: &Path) -> Result<(), Error> {
    let monitor = Monitor::connect(state_dir)?;
    let watch = monitor.watch()?;
    // The first process of its pid namespace: all others die with it.
    match monitor.signal(Signal::KILL) {
        Ok(()) => wait(watch),
        Err(Error::NotRunning) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The stream ends when the monitor has cleared up after its process.
fn wait(mut watch: UnixStream) {
    let waited = watch
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| watch.read_to_end(&mut Vec::new()));
    if let Err(error) = waited {
        tracing::warn!(%error, "a build step of an engine before does not end");
    }
}
