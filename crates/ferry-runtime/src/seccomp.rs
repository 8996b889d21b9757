//! System call filters (stand-in until the real module lands).

use serde::{Deserialize, Serialize};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program(pub Vec<u8>);
