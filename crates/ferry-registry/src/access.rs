//! What an operation needs from a registry, in the words of errors and of token scopes.

use std::fmt;

/// The right that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read a repository.
    Pull,
    /// Read and write a repository.
    Push,
    /// Prove who one is.
    Login,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Login => "login",
        })
    }
}
