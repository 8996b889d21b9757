//! Commands about the builder.

pub(super) mod prune;
