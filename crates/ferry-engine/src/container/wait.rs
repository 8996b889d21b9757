//! Waits until a container's process has ended, or the container is gone.

use std::future::Future;

use super::{Error, Phase, State, WaitCondition};
use crate::Engine;

impl Engine {
    /// Begins to wait; the future yields the state that was waited for. What happens between this
    /// call and the future's first poll counts. Docker Engine API `ContainerWait`.
    pub fn wait_container(
        &self,
        wanted: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = State> + use<>, Error> {
        let container = self.containers.find(wanted)?;
        let mut state = container.state.subscribe();
        let exits_before = state.borrow().exits;
        Ok(async move {
            let reached = |state: &State| match condition {
                WaitCondition::NotRunning => !state.is_running() || state.exits > exits_before,
                WaitCondition::NextExit => state.exits > exits_before || state.phase == Phase::Removed,
                WaitCondition::Removed => state.phase == Phase::Removed,
            };
            match state.wait_for(reached).await {
                Ok(state) => state.clone(),
                // The container holds its sender, and this future holds the container.
                Err(_) => container.state(),
            }
        })
    }
}
