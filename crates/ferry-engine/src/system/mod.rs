//! The engine as a whole: one file a verb.

mod limits;
mod usage;

pub use limits::KeptLimits;
pub use usage::{ContainerUsage, DiskUsage, ImageUsage, ImagesUsage, Resource, own_bytes};
