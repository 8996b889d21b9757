//! How the engine, the zygote, monitors and containers' first processes talk.
//!
//! Everything is a frame of JSON with descriptors on a seqpacket socket. A monitor answers every
//! request with one [`Answer`], in order.
//!
//! Promise: a monitor outlives releases of Ferry, so that a new engine speaks to monitors of the
//! release before. A request carries the version it needs; new calls, members and variants are
//! added and the old ones stay as they are (a test pins them); a monitor answers what it does not
//! know with [`Refusal::Unknown`].

mod frame;
mod message;

/// What the frame that follows a launch brings, by descriptor.
pub(crate) const ROOT: &str = "root";
/// As [`ROOT`].
pub(crate) const SHARED_MEMORY: &str = "shm";

pub(crate) use frame::{receive, send, try_receive, try_send};
pub(crate) use message::{Answer, Call, Container, EmulationPlace, Event, Refusal, Request, RequestRef, VERSION};
