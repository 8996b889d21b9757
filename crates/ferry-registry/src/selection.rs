//! Which platforms of an image an operation is about.

use ferry_oci::Platform;

/// Which platforms of an image to pull or push.
///
/// Where the reference names a single manifest rather than an index, that manifest must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Each of these; one that the image lacks is an error.
    Platforms(Vec<Platform>),
    /// Everything that the index lists, attestations included.
    All,
    /// The first of these, in order of preference, that the image has.
    Best(Vec<Platform>),
}
