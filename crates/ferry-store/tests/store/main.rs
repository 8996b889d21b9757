//! The store as its users see it: real files, real tars, and where there is root, real overlays.

mod archives;
mod collection;
mod fixture;
mod hostile;
mod images;
mod layers;
mod overlay;
mod power;
mod recovery;
mod snapshots;
mod tarball;
