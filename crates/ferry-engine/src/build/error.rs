//! What can go wrong with a build.

use crate::error::Class;

/// An error of a build.
#[derive(Debug, thiserror::Error)]
pub enum Error {}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match *self {}
    }
}
