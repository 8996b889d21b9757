//! Images: one file a verb.

mod error;
mod resolve;

pub use error::Error;
pub use resolve::ResolvedImage;
