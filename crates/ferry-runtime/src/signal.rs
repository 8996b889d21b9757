//! Signal numbers as clients may send them, real-time ones included.

use serde::{Deserialize, Serialize};

/// A signal of Linux, 1 to 64. Source: signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

/// A number that is no signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a signal of Linux")]
pub struct NoSuchSignal(pub i32);

impl Signal {
    /// SIGHUP.
    pub const HUP: Signal = Signal(1);
    /// SIGINT.
    pub const INT: Signal = Signal(2);
    /// SIGKILL.
    pub const KILL: Signal = Signal(9);
    /// SIGTERM.
    pub const TERM: Signal = Signal(15);

    /// The signal's number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for Signal {
    type Error = NoSuchSignal;

    fn try_from(number: i32) -> Result<Self, NoSuchSignal> {
        (1..=64)
            .contains(&number)
            .then_some(Signal(number))
            .ok_or(NoSuchSignal(number))
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> i32 {
        signal.0
    }
}
