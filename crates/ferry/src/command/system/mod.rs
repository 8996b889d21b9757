//! Commands about the engine as a whole, and those about any object.

pub(super) mod completion;
pub(super) mod df;
mod df_verbose;
pub(super) mod dial_stdio;
pub(super) mod info;
pub(super) mod inspect;
pub(super) mod prune;
pub(super) mod version;
