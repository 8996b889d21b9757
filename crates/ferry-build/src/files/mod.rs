//! Files that go into a layer: reading what is there, choosing, laying out, writing.

mod archive;
mod layout;
mod owner;
mod select;
mod selection;
mod view;
mod write;

pub use archive::open_tar;
pub(crate) use layout::{Count, Layout, LayoutFault, Placement, split};
pub(crate) use owner::{Owner, OwnerFault};
pub(crate) use select::{select, select_path};
pub(crate) use selection::{Content, ItemKind, Origin, Selected, Selection, SelectionFault, Trust, Wanted};
pub(crate) use view::{Found, LastLink, Resolved, View, ViewError, Whiteouts, join};
pub(crate) use write::{WriteFault, write};
