//! The state of a container, and what waiting for one means.

use time::OffsetDateTime;

/// Where a container is in its life. Source: Docker Engine API `ContainerState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It was never started.
    Created,
    /// Its process runs.
    Running,
    /// It runs, and all its processes are frozen.
    Paused,
    /// Its process has ended, and will be started again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// It is being removed, or gone.
    Removed,
}

impl Phase {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removed => "removing",
        }
    }
}

/// A container's state at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Where it is in its life.
    pub phase: Phase,
    /// The process's id on the host while it runs.
    pub pid: Option<u32>,
    /// The last exit code; 128 + n after signal n.
    pub exit_code: i32,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Why the last start failed.
    pub error: String,
    /// When it last started.
    pub started_at: Option<OffsetDateTime>,
    /// When its process last ended.
    pub finished_at: Option<OffsetDateTime>,
    /// How often its process has ended since the engine knows it.
    pub exits: u64,
}

impl State {
    /// A container that was never started.
    pub fn created() -> Self {
        Self {
            phase: Phase::Created,
            pid: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            started_at: None,
            finished_at: None,
            exits: 0,
        }
    }

    /// Whether its process runs, frozen or not, or is about to run again: the API counts both as running.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused | Phase::Restarting)
    }

    /// Whether a process of it exists.
    pub fn has_process(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused)
    }

    /// Whether it is frozen.
    pub fn is_paused(&self) -> bool {
        self.phase == Phase::Paused
    }
}

/// What a caller waits for. Source: Docker Engine API `ContainerWait`, parameter `condition`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// That nothing runs: at once, if so already, else when the process ends, whether or not it starts again.
    #[default]
    NotRunning,
    /// That the process ends the next time.
    NextExit,
    /// That the container is removed.
    Removed,
}
