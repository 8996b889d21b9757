//! Lists containers.

use std::sync::Arc;

use super::{Container, HealthStatus, Phase};
use crate::{Engine, label};

/// Which containers a list holds. Source: Docker Engine API `ContainerList`, parameter `filters`;
/// values of one key are alternatives, keys restrict each other.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Also those that do not run.
    pub all: bool,
    /// Only so many, the newest; also those that do not run.
    pub limit: Option<usize>,
    /// Ids that begin so.
    pub ids: Vec<String>,
    /// Names that contain this; a leading slash is allowed.
    pub names: Vec<String>,
    /// `key` or `key=value`; all of them must hold.
    pub labels: Vec<String>,
    /// States, in the API's words.
    pub states: Vec<String>,
    /// Exit codes.
    pub exit_codes: Vec<i32>,
    /// Healths; `None` is that of a container without a check.
    pub healths: Vec<Option<HealthStatus>>,
    /// Images, as they were named, or the beginning of their ids.
    pub images: Vec<String>,
}

impl Engine {
    /// The containers that `filter` lets pass, newest first.
    pub fn list_containers(&self, filter: &ListFilter) -> Vec<Arc<Container>> {
        let mut list = self.containers.all();
        list.retain(|container| filter.matches(container));
        if let Some(limit) = filter.limit {
            list.truncate(limit);
        }
        list
    }

    /// The container with this id, name or beginning of an id.
    pub fn container(&self, wanted: &str) -> Result<Arc<Container>, super::Error> {
        self.containers.find(wanted)
    }
}

impl ListFilter {
    fn matches(&self, container: &Container) -> bool {
        let state = container.state();
        let name = container.name();
        let any = |values: &[String], test: &dyn Fn(&str) -> bool| {
            values.is_empty() || values.iter().any(|value| test(value))
        };
        let ended = |code: &i32| state.phase == Phase::Exited && state.exit_code == *code;
        let is_listed = self.all
            || self.limit.is_some()
            || !self.states.is_empty()
            || !self.exit_codes.is_empty()
            || state.is_running();
        is_listed
            && state.phase != Phase::Removed
            && any(&self.ids, &|id| container.id.as_str().starts_with(id))
            && any(&self.names, &|part| name.contains(part.trim_start_matches('/')))
            && any(&self.states, &|word| state.phase.as_str() == word)
            && any(&self.images, &|image| {
                container.config.options.image == image || container.config.is_of_image(image)
            })
            && (self.healths.is_empty() || self.healths.contains(&container.health().map(|health| health.status)))
            && (self.exit_codes.is_empty() || self.exit_codes.iter().any(ended))
            && label::has_all(&container.config.labels, &self.labels)
    }
}
