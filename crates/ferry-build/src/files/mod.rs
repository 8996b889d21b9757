//! Files that go into a layer: reading what is there, choosing, laying out, writing.

mod archive;
mod layout;
mod owner;
mod selection;
mod view;
mod write;

pub(crate) use layout::{Count, Layout, LayoutFault, Placement};
pub(crate) use owner::{Owner, OwnerFault};
pub(crate) use selection::{
    Content, ItemKind, Origin, Selected, Selection, SelectionFault, Trust, Wanted, select,
};
pub(crate) use view::{Found, LastLink, Resolved, View, ViewError, Whiteouts};
pub(crate) use write::{WriteFault, write};
