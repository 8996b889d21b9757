//! Tells a terminal its size.

use ferry_runtime::WindowSize;

use super::Error;
use crate::Engine;

impl Engine {
    /// Resizes the terminal of a container's process. Docker Engine API `ContainerResize`.
    pub fn resize_container(&self, wanted: &str, size: WindowSize) -> Result<(), Error> {
        Ok(self.containers.find(wanted)?.monitor()?.monitor().resize(size)?)
    }

    /// Resizes the terminal of an exec. Docker Engine API `ExecResize`.
    pub fn resize_exec(&self, id: &str, size: WindowSize) -> Result<(), Error> {
        self.exec(id)?.resize(size)
    }
}
