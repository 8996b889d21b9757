//! A Dockerfile as it is written: directives, lines, words, stages; nothing is expanded or resolved here.
//!
//! Source: BuildKit `frontend/dockerfile/docs/reference.md`.

mod arguments;
mod directive;
mod error;
mod form;
mod heredoc;
mod line;
mod nearest;
mod stage;
mod word;

pub use directive::Directives;
pub use error::{Fault, SyntaxError};
pub use form::CommandForm;
pub use heredoc::{Heredoc, HeredocText};
pub use stage::{Dockerfile, Located, Stage};

pub(crate) use arguments::{Arguments, FlagSpec};
pub(crate) use line::Line;
pub(crate) use nearest::nearest;
pub(crate) use stage::{MAX_DOCKERFILE_BYTES, Oddity, parse_trigger};
pub(crate) use word::split_name_value;
