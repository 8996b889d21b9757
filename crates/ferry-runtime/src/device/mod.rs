//! Which device nodes a container may use: an ordered list of rules, put in force on either cgroup version.

mod enforce;
mod error;
mod node;
mod program;
mod rule;

pub use enforce::enforce;
pub use error::Error;
pub use node::host_nodes;
pub use program::program;
pub use rule::{Access, Kind, Number, Rule, Verdict};
