//! Tells the engine the terminal's size, at first and whenever it changes.

use std::fmt;

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::Engine;
use crate::terminal;

/// What has a terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resizable<'a> {
    /// A container.
    Container(&'a str),
    /// A process that was executed in one.
    Exec(&'a str),
}

impl fmt::Display for Resizable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(id) => write!(f, "/containers/{id}/resize"),
            Self::Exec(id) => write!(f, "/exec/{id}/resize"),
        }
    }
}

/// Follows the terminal's size; never returns. A size that the engine refuses is not worth an error.
pub(crate) async fn follow_size(engine: &Engine, of: Resizable<'_>) {
    let mut changes = signal(SignalKind::window_change()).ok();
    let mut told = None;
    loop {
        let size = terminal::size();
        if let Some(size) = size.filter(|size| told != Some(*size)) {
            let request = engine
                .post(of.to_string())
                .query("h", size.rows.to_string())
                .query("w", size.columns.to_string());
            if request.status().await.is_ok() {
                told = Some(size);
            }
        }
        match changes.as_mut() {
            Some(changes) => {
                changes.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}
