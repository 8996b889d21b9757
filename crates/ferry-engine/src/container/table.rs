//! All containers that the engine knows, found by id, name or the beginning of an id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Container, ContainerId, Error};

/// The containers of an engine.
#[derive(Debug, Default)]
pub(crate) struct Table(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_id: BTreeMap<String, Arc<Container>>,
    /// Also holds names that are being given away, before their container exists.
    by_name: HashMap<String, ContainerId>,
}

impl Table {
    /// Takes `name` for `id`; of several callers one wins.
    pub(crate) fn reserve_name(&self, name: &str, id: &ContainerId) -> Result<(), Error> {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match inner.by_name.get(name) {
            Some(holder) if holder != id => Err(Error::NameInUse {
                name: format!("/{name}"),
                holder: holder.to_string(),
            }),
            _ => {
                inner.by_name.insert(name.to_owned(), id.clone());
                Ok(())
            }
        }
    }

    /// Gives `name` back, if `id` has it.
    pub(crate) fn release_name(&self, name: &str, id: &ContainerId) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if inner.by_name.get(name) == Some(id) {
            inner.by_name.remove(name);
        }
    }

    /// Makes a container visible.
    pub(crate) fn insert(&self, container: Arc<Container>) {
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.insert(container.id.to_string(), container);
    }

    /// Makes a container invisible and its name free.
    pub(crate) fn remove(&self, container: &Container) {
        self.release_name(&container.name(), &container.id);
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        inner.by_id.remove(container.id.as_str());
    }

    /// The container called `wanted`: its id, its name with or without a slash, or the beginning of
    /// its id, in this order, as Docker looks it up.
    pub(crate) fn find(&self, wanted: &str) -> Result<Arc<Container>, Error> {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(container) = inner.by_id.get(wanted) {
            return Ok(container.clone());
        }
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if let Some(container) = inner.by_name.get(name).and_then(|id| inner.by_id.get(id.as_str())) {
            return Ok(container.clone());
        }
        let none = || Error::NoSuchContainer(wanted.chars().take(200).collect());
        if wanted.is_empty() {
            return Err(none());
        }
        let mut matching = inner
            .by_id
            .range(wanted.to_owned()..)
            .take_while(|(id, _)| id.starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some((_, container)), None) => Ok(container.clone()),
            (Some(_), Some(_)) => Err(Error::AmbiguousId(wanted.to_owned())),
            (None, _) => Err(none()),
        }
    }

    /// All containers, newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Container>> {
        let inner = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = inner.by_id.values().cloned().collect();
        all.sort_by_key(|container| std::cmp::Reverse(container.created_at));
        all
    }
}
