//! A container's streams at the terminal: attach, frames, detach keys, window size, signals.

mod attach;
mod detach;
mod frames;
mod resize;
mod signals;

pub(crate) use attach::{Attachment, Ending, Shape, connect, copy_output};
pub(crate) use detach::DetachKeys;
pub(crate) use resize::{Resizable, follow_size};
pub(crate) use signals::{Signals, proxy};
