//! The engine as a whole: one file a verb.

mod usage;

pub use usage::{ContainerUsage, DiskUsage, ImageUsage, ImagesUsage, Resource, own_bytes};
