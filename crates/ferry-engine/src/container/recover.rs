//! Finds containers again after the engine was restarted, whatever happened to it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use ferry_runtime::{Exit, Remains};

use super::health::Past;
use super::start::{EXIT_RECORD, KILLED_WITH_MONITOR};
use super::{Container, OnExit, Phase};
use crate::{Engine, build, folder};

impl Engine {
    /// Reads all records, connects to the monitors that live, notes how the others ended, and removes
    /// what is left of operations that were cut off. Called once, before the engine serves anyone.
    pub(crate) fn recover_containers(&self) {
        let mut known = HashSet::new();
        let mut due = Vec::new();
        for dir in subfolders(&self.instance.data_root.join("containers")) {
            match Container::read_record(&dir) {
                Ok(Some(container)) => {
                    known.insert(container.id.to_string());
                    let container = Arc::new(container);
                    self.recover_container(container.clone());
                    if matches!(container.state().phase, Phase::Exited) && container.is_due_at_begin() {
                        due.push(container);
                    }
                }
                // Without a record the create was never acknowledged, or the removal was.
                Ok(None) => folder::remove(&dir),
                Err(error) => {
                    tracing::error!(path = %dir.display(), %error, "a container's record cannot be read; it is left alone")
                }
            }
        }
        // Build steps end with the engine that wanted them, and creates without a record are undone.
        for dir in subfolders(&self.instance.exec_root.join("containers")) {
            let name = dir
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if !known.contains(&name) {
                build::leftover::end(&dir);
                self.clear_remains(&dir);
                folder::remove(&dir);
            }
        }
        self.remove_unknown_snapshots(&known);
        self.start_due(due);
    }

    fn recover_container(&self, container: Arc<Container>) {
        let name = container.name();
        if self.containers.reserve_name(&name, &container.id).is_err() {
            tracing::warn!(container.id = %container.id, name, "two containers have one name; this one is found by its id");
        }
        self.containers.insert(container.clone());
        container.recall_life(&container.dir(&self.instance));
        let running = self.reconnect(container.id.as_str()).and_then(|launched| {
            let state = launched.monitor().state()?;
            let watch = launched.monitor().watch()?;
            Ok((launched, state, watch))
        });
        match running {
            Ok((launched, state, watch)) => {
                let started_at = match state.phase {
                    ferry_runtime::Phase::Running { started_at } => Some(started_at),
                    ferry_runtime::Phase::Exited(exit) => exit.started_at,
                    ferry_runtime::Phase::Created => None,
                };
                if let Some(path) = &container.config.options.host.cgroup_parent
                    && let Err(error) = self.cgroup_parents.take(path)
                {
                    tracing::warn!(container.id = %container.id, %error, "its control group cannot be used");
                }
                let phase = if self.was_paused(&container) {
                    Phase::Paused
                } else {
                    Phase::Running
                };
                let launched = Arc::new(launched);
                container.live().launched = Some(launched.clone());
                container.state.send_modify(|is| {
                    is.phase = phase;
                    is.pid = u32::try_from(state.pid).ok();
                    is.started_at = started_at;
                });
                self.enforce_limits(&container);
                let check = self.begin_health(&container, Past::GoesOn);
                if phase == Phase::Paused {
                    container.end_health();
                }
                self.watch_health(&container, check);
                self.watch_exit(container, launched, watch);
            }
            Err(_) => self.recover_ended(&container),
        }
    }

    /// The container does not run: it never did, it ended, or its monitor was killed.
    fn recover_ended(&self, container: &Arc<Container>) {
        let state_dir = self.instance.state_dir(container.id.as_str());
        let was_launched = state_dir.exists();
        self.clear_remains(&state_dir);
        folder::remove(&state_dir);
        let record = container.dir(&self.instance).join(EXIT_RECORD);
        let exit = Exit::read(&record).unwrap_or_else(|error| {
            tracing::warn!(container.id = %container.id, %error, "cannot read how it ended");
            None
        });
        if container.config.options.host.on_exit == OnExit::Remove {
            self.containers.remove(container);
            container.state.send_modify(|state| state.phase = Phase::Removed);
            self.delete_files(container);
            return;
        }
        // It ran when the host went down: the record is of a run before.
        let was_cut_off = container.was_started_after(exit.as_ref().and_then(|exit| exit.started_at));
        container.state.send_modify(|state| match &exit {
            Some(exit) if !was_cut_off => {
                state.phase = Phase::Exited;
                state.exit_code = i32::from(exit.code);
                state.oom_killed = exit.oom_killed;
                state.started_at = exit.started_at;
                state.finished_at = Some(exit.finished_at);
            }
            _ if was_launched || was_cut_off => {
                state.phase = Phase::Exited;
                state.exit_code = if was_launched {
                    KILLED_WITH_MONITOR
                } else {
                    ENDED_WITH_HOST
                };
                state.finished_at = Some(time::OffsetDateTime::now_utc());
            }
            _ => {}
        });
    }

    /// Kills what a dead monitor left running, and removes its cgroup.
    pub(crate) fn clear_remains(&self, state_dir: &Path) {
        let cleared = Remains::find(state_dir).and_then(|found| match found {
            Some(remains) => remains.clear(&self.cgroups),
            None => Ok(()),
        });
        if let Err(error) = cleared {
            tracing::warn!(path = %state_dir.display(), %error, "cannot clear what a monitor left");
        }
    }

    fn remove_unknown_snapshots(&self, known: &HashSet<String>) {
        let snapshots = match self.store.snapshots().list() {
            Ok(snapshots) => snapshots,
            Err(error) => return tracing::warn!(%error, "cannot list snapshots"),
        };
        for id in snapshots.iter().filter(|id| !known.contains(id.as_str())) {
            if let Err(error) = self.store.snapshots().remove(id) {
                tracing::warn!(snapshot = id.as_str(), %error, "cannot remove");
            }
        }
    }
}

/// What a container's exit code is when it ended with the host, as in Docker.
const ENDED_WITH_HOST: i32 = 255;

fn subfolders(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
