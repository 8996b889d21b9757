//! Builds images from Dockerfiles: parse, plan, solve with a cache keyed by content, and write a reproducible image.
//!
//! ```text
//! Context ──► dockerfile (parse) ──► plan (pure: stages → graph of vertices) ──► solve (cache, steps) ──► export
//!                                        ▲                                          ▲
//!                                     Images (port)                             StepRunner (port)
//! ```
//!
//! The crate knows the store and OCI's documents, nothing else: base images come through [`Images`],
//! processes run through [`StepRunner`], and the files of the client through [`Context`].
//! [`build`] reads no environment and no clock that could enter a digest.

mod blocking;
mod build;
mod cache;
mod context;
pub mod dockerfile;
mod error;
mod event;
mod expand;
mod export;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod glob;
pub mod ignore;
mod instruction;
mod key;
mod mode;
mod plan;
mod ports;
mod progress;
mod request;
mod result;
mod solve;
mod source;
mod unique;

pub use build::build;
pub use cache::{BuildCache, CacheEntry, CachedMount};
pub use context::LocalContext;
pub use error::{
    BaseError, BuildError, ErrorClass, ExportFault, FilesFault, InstructionError, StepFailure, VertexError,
};
pub use event::{
    BuildEvent, EventSink, OutputStream, PartState, StepOutput, Vertex, VertexId, VertexLog, VertexStatus,
    VertexWarning,
};
pub use expand::{ExpandError, ExpandReason};
pub use export::as_oci_layer;
pub use files::open_tar;
pub use plan::PlanFault;
pub use ports::{
    BaseImage, Context, ContextFile, ContextFilter, Images, MountAccess, MountSource, PortError, Ports, Secret, Step,
    StepMount, StepNetwork, StepRunner,
};
pub use request::{BuildRequest, CacheUse, DEFAULT_EPOCH, Form, PullPolicy, StepLimits};
pub use result::{BuildResult, BuiltImage};
pub use solve::flatten;
pub use source::{LineRange, Source};
