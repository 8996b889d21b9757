//! What can go wrong with a build.

use super::context::ContextError;
use crate::error::Class;

/// An error of a build.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Dockerfile, a step, or what they need.
    #[error(transparent)]
    Build(Box<ferry_build::BuildError>),
    /// The client's files.
    #[error(transparent)]
    Context(#[from] ContextError),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::Build(error) => class_of_builder(error.class()),
            Self::Context(ContextError::Io { .. }) => Class::Internal,
            Self::Context(_) => Class::Invalid,
        }
    }
}

/// The builder's classes are the engine's.
pub(crate) fn class_of_builder(class: ferry_build::ErrorClass) -> Class {
    use ferry_build::ErrorClass;
    match class {
        ErrorClass::Invalid => Class::Invalid,
        ErrorClass::NotFound => Class::NotFound,
        ErrorClass::Unauthorized => Class::Unauthorized,
        ErrorClass::Unavailable => Class::Unavailable,
        ErrorClass::NotImplemented => Class::NotImplemented,
        ErrorClass::Internal => Class::Internal,
    }
}
