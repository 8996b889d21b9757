//! Archives: of images, what `save` writes and `load` reads; and of files.
//!
//! Images are written as `docker save` writes them today: an OCI image layout with `manifest.json` and
//! `repositories` beside it, which Docker, Podman, Skopeo and containerd all read. Read are OCI layouts
//! and Docker's archives of any age since 2016, plain or compressed.

mod docker;
mod files;
mod load;
mod save;
mod tree;

pub use self::load::{Loaded, load};
pub use self::save::{SaveOptions, save};
pub use self::tree::{Archived, write_files, write_tree};
pub use crate::layer::extract::{Extraction, Owner, Rename, Replacing};
pub use crate::layer::unpack::extract;
