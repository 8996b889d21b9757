//! A moment in whole seconds, as layers carry it.

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z; may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Now, by the machine's clock.
    pub fn now() -> Self {
        Self(time::OffsetDateTime::now_utc().unix_timestamp())
    }
}
