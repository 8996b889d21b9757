//! What can go wrong with an image. Scripts match on some of these words: they are Docker's.

use ferry_oci::{Platform, ReferenceError};

use crate::error::Class;

/// An error of an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No image has this name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several ids begin so.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousId(String),
    /// Not the name of an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The image is there, but not for this platform.
    #[error("image {image} has no variant for {wanted} here; present: {}", list(present))]
    NoSuchPlatform {
        /// The image.
        image: String,
        /// What was asked for.
        wanted: Platform,
        /// What is there.
        present: Vec<Platform>,
    },
    /// Of the store.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::NoSuchImage(_) | Self::NoSuchPlatform { .. } => Class::NotFound,
            Self::AmbiguousId(_) | Self::Reference(_) => Class::Invalid,
            Self::Store(_) => Class::Internal,
        }
    }
}

fn list(platforms: &[Platform]) -> String {
    let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}
