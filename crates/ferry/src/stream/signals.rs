//! Signals that the command gets are meant for the container.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::Engine;

/// Signals that are passed on, with the names that the engine takes (signal(7)).
fn passed_on() -> [(SignalKind, &'static str); 8] {
    [
        (SignalKind::hangup(), "HUP"),
        (SignalKind::interrupt(), "INT"),
        (SignalKind::quit(), "QUIT"),
        (SignalKind::terminate(), "TERM"),
        (SignalKind::user_defined1(), "USR1"),
        (SignalKind::user_defined2(), "USR2"),
        (SignalKind::alarm(), "ALRM"),
        (SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()), "CONT"),
    ]
}

/// After so many interrupts that did not end the container the user wants out.
const PATIENCE: u32 = 3;

/// Signals to this process, from when it is made.
pub(crate) struct Signals(Vec<(u8, &'static str, Signal)>);

impl Signals {
    /// Catches them from now on.
    pub(crate) fn catch() -> io::Result<Self> {
        passed_on()
            .into_iter()
            .map(|(kind, name)| {
                let number = u8::try_from(kind.as_raw_value()).unwrap_or(0);
                Ok((number, name, signal(kind)?))
            })
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// The next one: its number and name.
    pub(crate) async fn next(&mut self) -> (u8, &'static str) {
        std::future::poll_fn(|context| {
            for (number, name, caught) in &mut self.0 {
                if let Poll::Ready(Some(())) = Pin::new(caught).poll_recv(context) {
                    return Poll::Ready((*number, *name));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Passes signals on to the container `id`; returns the last one's number when the user lost patience.
pub(crate) async fn proxy(engine: &Engine, id: &str, signals: &mut Signals) -> u8 {
    let mut interrupts = 0;
    loop {
        let (number, name) = signals.next().await;
        if matches!(name, "INT" | "TERM") {
            interrupts += 1;
            if interrupts >= PATIENCE {
                crate::terminal::note(&format!(
                    "ferry: got {PATIENCE} interrupts, leaving the container to itself"
                ));
                return number;
            }
        }
        // A container that has just ended needs no signal.
        let _ = engine
            .post(format!("/containers/{id}/kill"))
            .query("signal", name)
            .status()
            .await;
    }
}
