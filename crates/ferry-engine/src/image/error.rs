//! What can go wrong with an image. Scripts match on some of these words: they are Docker's.

use ferry_oci::{Platform, Reference, ReferenceError};

use crate::build::class_of_builder;
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
    /// A name to push that no image has.
    #[error("An image does not exist locally with the tag: {0}")]
    NotTagged(String),
    /// A new name that holds a digest.
    #[error("refusing to create a tag with a digest reference: {0}")]
    TagWithDigest(Reference),
    /// The last name of an image that a container uses.
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - container {container} is using its referenced image {image}"
    )]
    NameInUse {
        /// The name.
        name: String,
        /// The container's short id.
        container: String,
        /// The image's short id.
        image: String,
    },
    /// An image that a container uses.
    #[error(
        "conflict: unable to delete {image} ({}) - image is being used by {} container {container}",
        if *is_running { "cannot be forced" } else { "must be forced" },
        if *is_running { "running" } else { "stopped" },
    )]
    ImageInUse {
        /// The image's short id.
        image: String,
        /// The container's short id.
        container: String,
        /// Whether it runs.
        is_running: bool,
    },
    /// An id whose image has names in more than one repository.
    #[error("conflict: unable to delete {0} (must be forced) - image is referenced in multiple repositories")]
    SeveralRepositories(String),
    /// A line that is no change to an imported image.
    #[error(
        "{0:?} is not a valid change: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR are"
    )]
    NotAChange(String),
    /// Changes to an imported image that could not be made.
    #[error(transparent)]
    Change(#[from] Box<ferry_build::BuildError>),
    /// A document could not be written as JSON.
    #[error("cannot write an image's document: {0}")]
    Serialize(serde_json::Error),
    /// The registry, or the way to it.
    #[error(transparent)]
    Registry(#[from] ferry_registry::Error),
    /// Of the store.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
    /// A thread of the engine ended without an answer.
    #[error("an image operation was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::NoSuchImage(_) | Self::NoSuchPlatform { .. } | Self::NotTagged(_) => Class::NotFound,
            Self::AmbiguousId(_) | Self::Reference(_) | Self::TagWithDigest(_) | Self::NotAChange(_) => Class::Invalid,
            Self::NameInUse { .. } | Self::ImageInUse { .. } | Self::SeveralRepositories(_) => Class::Conflict,
            Self::Change(error) => class_of_builder(error.class()),
            Self::Registry(error) => class_of_registry(error.class()),
            Self::Store(error) => class_of_store(error),
            Self::Serialize(_) | Self::Interrupted(_) => Class::Internal,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            _ => None,
        }
    }
}

fn class_of_registry(class: ferry_registry::Class) -> Class {
    match class {
        ferry_registry::Class::NotFound => Class::NotFound,
        ferry_registry::Class::Unauthorized => Class::Unauthorized,
        ferry_registry::Class::Forbidden => Class::Forbidden,
        ferry_registry::Class::Unavailable => Class::Unavailable,
        ferry_registry::Class::Invalid => Class::Invalid,
        ferry_registry::Class::Internal => Class::Internal,
    }
}

/// What came from outside is the caller's to mend, the rest is the store's own trouble.
fn class_of_store(error: &ferry_store::Error) -> Class {
    use ferry_store::Error;
    match error {
        Error::ImageMissing(_) | Error::PlatformMissing { .. } => Class::NotFound,
        Error::Input(_)
        | Error::DigestMismatch { .. }
        | Error::SizeMismatch { .. }
        | Error::DiffIdMismatch { .. }
        | Error::TooLarge { .. }
        | Error::NotALayer(_)
        | Error::Compression { .. }
        | Error::Tar(_)
        | Error::Entry { .. }
        | Error::Limit { .. }
        | Error::Document { .. }
        | Error::LayerCount { .. }
        | Error::Archive(_) => Class::Invalid,
        _ => Class::Internal,
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
