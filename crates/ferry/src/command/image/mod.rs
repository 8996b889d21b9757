//! `ferry image`: one file a verb.

pub(super) mod build;
pub(super) mod history;
pub(super) mod import;
pub(super) mod inspect;
pub(super) mod load;
pub(super) mod ls;
pub(super) mod prune;
pub(super) mod pull;
pub(super) mod push;
pub(super) mod rm;
pub(super) mod save;
pub(super) mod tag;

use ferry_oci::Reference;

use crate::engine::in_path;
use crate::failure::{Explain, Failure};

/// `/images/NAME/VERB`.
fn path(name: &str, verb: &str) -> String {
    format!("/images/{}/{verb}", in_path(name))
}

/// A reference as the user wrote it, read.
fn reference(text: &str) -> Result<Reference, Failure> {
    Reference::parse(text).explain(|| format!("invalid image name {text:?}"))
}
