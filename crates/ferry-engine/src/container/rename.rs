//! Gives a container another name.

use std::sync::PoisonError;

use super::{Error, is_name};
use crate::Engine;

impl Engine {
    /// Renames a container. Docker Engine API `ContainerRename`.
    pub async fn rename_container(&self, wanted: &str, name: &str) -> Result<(), Error> {
        let container = self.containers.find(wanted)?;
        let name = name.strip_prefix('/').unwrap_or(name);
        if !is_name(name) {
            return Err(Error::InvalidName(name.to_owned()));
        }
        let _lifecycle = container.lifecycle.lock().await;
        let old = container.name();
        if old == name {
            return Ok(());
        }
        self.containers.reserve_name(name, &container.id)?;
        if let Err(error) = container.write_record(&container.dir(&self.instance), name, &container.adjustable()) {
            self.containers.release_name(name, &container.id);
            return Err(error);
        }
        *container.name.write().unwrap_or_else(PoisonError::into_inner) = name.to_owned();
        self.containers.release_name(&old, &container.id);
        let mut attributes = container.attributes();
        attributes.insert("oldName".to_owned(), format!("/{old}"));
        self.events
            .send("container", "rename", container.id.as_str(), attributes);
        Ok(())
    }
}
