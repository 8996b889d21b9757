//! What a token may be used for.

use std::collections::BTreeSet;

use crate::Access;

/// A set of scopes as token servers know them. Source: distribution's `spec/auth/scope.md`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(BTreeSet<String>);

impl Scopes {
    /// No scope: a token that only proves who one is.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The right to do `access` in the repository `path`.
    pub(crate) fn repository(path: &str, access: Access) -> Self {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Login => return Self::none(),
        };
        Self(BTreeSet::from([format!("repository:{path}:{actions}")]))
    }

    /// Adds what is needed to mount blobs from the repository `path`.
    pub(crate) fn and_mount_from(mut self, path: &str) -> Self {
        self.0.insert(format!("repository:{path}:pull"));
        self
    }

    /// Adds the scopes of a challenge, separated by spaces.
    pub(crate) fn and_challenged(mut self, scope: Option<&str>) -> Self {
        self.0
            .extend(scope.unwrap_or_default().split_whitespace().take(16).map(str::to_owned));
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// All scopes, separated by spaces, as OAuth2 wants them.
    pub(crate) fn joined(&self) -> String {
        self.iter().collect::<Vec<_>>().join(" ")
    }
}
