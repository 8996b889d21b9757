//! One file a noun: its endpoints as rows, and what each does with a request.

pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod copy;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod network;
pub(crate) mod system;
pub(crate) mod volume;
