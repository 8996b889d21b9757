//! What can go wrong in the engine, and the class of each error, which HTTP and gRPC map once.

use crate::{build, container, image, network};

/// The kind of an error, whatever the noun: what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The named thing does not exist.
    NotFound,
    /// The thing's state does not allow it, or another caller was first.
    Conflict,
    /// The request itself is wrong.
    Invalid,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Not allowed, whatever the credentials.
    Forbidden,
    /// Something outside the engine does not answer now; trying again may help.
    Unavailable,
    /// Ferry does not do this.
    NotImplemented,
    /// The engine or the machine failed.
    Internal,
}

/// Any error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of a container or an exec.
    #[error(transparent)]
    Container(#[from] container::Error),
    /// Of an image.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Of a build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// Of a network.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// Another engine uses the folder.
    #[error("another engine is using {}", path.display())]
    Locked {
        /// The folder.
        path: std::path::PathBuf,
    },
    /// A folder of the engine's own cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] ferry_store::Error),
    /// The zygote cannot be started.
    #[error(transparent)]
    Runtime(#[from] ferry_runtime::Error),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::Container(error) => error.class(),
            Self::Image(error) => error.class(),
            Self::Build(error) => error.class(),
            Self::Network(error) => error.class(),
            Self::Locked { .. } => Class::Conflict,
            Self::Folder { .. } | Self::Store(_) | Self::Runtime(_) => Class::Internal,
        }
    }
}
