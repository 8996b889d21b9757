//! The files of a build context as they are sent: which, in which order, and what each is.

mod entry;
mod folder;
mod follow;
mod selection;

pub(super) use entry::Entry;
pub(super) use folder::{Folder, WalkError};
pub(super) use selection::{Asked, Selection};
