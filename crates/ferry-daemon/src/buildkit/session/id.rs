//! The name that a client gives its session.

use std::fmt;
use std::str::FromStr;

/// Longest id that is accepted, in bytes; BuildKit's clients send 25.
const MAX_LEN_BYTES: usize = 256;

/// The name that a client gives its session: visible ASCII, not empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(String);

/// A session id that is empty, too long, or holds other than visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid session id: it must be 1 to {MAX_LEN_BYTES} visible ASCII characters")]
pub(crate) struct SessionIdError;

impl FromStr for SessionId {
    type Err = SessionIdError;

    /// Parses an id. A prefix up to `:` is dropped: clients put one before ids of contexts that
    /// would otherwise collide (BuildKit session/manager.go).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = match text.split_once(':') {
            Some((_, rest)) if !rest.is_empty() => rest,
            _ => text,
        };
        let visible = id.bytes().all(|byte| byte.is_ascii_graphic());
        if id.is_empty() || id.len() > MAX_LEN_BYTES || !visible {
            return Err(SessionIdError);
        }
        Ok(Self(id.to_owned()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_visible_ascii_without_their_prefix() {
        for (text, expect) in [
            ("abc", Some("abc")),
            ("context:abc", Some("abc")),
            ("abc:", Some("abc:")),
            ("", None),
            ("a b", None),
            ("a\n", None),
            ("ä", None),
        ] {
            let id = text.parse::<SessionId>().ok().map(|id| id.to_string());
            assert_eq!(id.as_deref(), expect, "{text:?}");
        }
        assert!("x".repeat(257).parse::<SessionId>().is_err());
    }
}
