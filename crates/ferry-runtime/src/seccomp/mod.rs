//! System-call filters: from a profile to classic BPF.

use serde::{Deserialize, Serialize};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program(pub Vec<u8>);
