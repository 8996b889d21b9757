//! The engine's handles on the zygote, on monitors and on what dead monitors left.

mod monitor;
mod remains;
mod zygote;

pub use monitor::{AttachOptions, Monitor};
pub use remains::Remains;
pub(crate) use zygote::seal;
pub use zygote::{Zygote, ZygoteOptions};
