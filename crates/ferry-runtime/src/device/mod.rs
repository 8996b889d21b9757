//! Which device nodes a container may use: an ordered list of rules, put in force on either cgroup version.

mod error;
mod rule;

pub use error::Error;
pub use rule::{Access, Kind, Number, Rule, Verdict};
