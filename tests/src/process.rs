//! Processes as /proc shows them: whose they are, and what they are.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id in the test's pid namespace.
    pub pid: Pid,
    /// Its parent's.
    pub parent: i32,
    /// Its arguments, separated by spaces.
    pub command_line: String,
}

impl Process {
    /// All that run, zombies left out.
    pub fn all() -> Vec<Self> {
        let Ok(folder) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        folder
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(Self::of)
            .collect()
    }

    /// The process with this id, if it runs.
    pub fn of(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if field("State:").is_none_or(|state| state.starts_with('Z')) {
            return None;
        }
        let parent = field("PPid:")?.parse().ok()?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&arguments).replace('\0', " ").trim().to_owned();
        Some(Self {
            pid: Pid::from_raw(pid)?,
            parent,
            command_line,
        })
    }

    /// Whether the environment it was started with has `name=value`.
    pub fn was_started_with(&self, name: &str, value: &str) -> bool {
        let wanted = format!("{name}={value}");
        self.read("environ")
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    }

    /// Whether one of its control groups' paths contains `name`.
    pub fn is_in_cgroup(&self, name: &str) -> bool {
        String::from_utf8_lossy(&self.read("cgroup")).contains(name)
    }

    /// Proportional share of memory (PSS), in kB.
    pub fn pss_kb(&self) -> u64 {
        let text = String::from_utf8_lossy(&self.read("smaps_rollup")).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The most memory that it ever had, in kB.
    pub fn peak_memory_kb(&self) -> u64 {
        let text = String::from_utf8_lossy(&self.read("status")).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Ends it at once.
    pub fn kill(&self) {
        // Gone already is as good.
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// Whether it is gone, or waits as a zombie for its parent.
    pub fn is_gone(&self) -> bool {
        Self::of(self.pid.as_raw_nonzero().get()).is_none()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(
            PathBuf::from("/proc")
                .join(self.pid.as_raw_nonzero().to_string())
                .join(name),
        )
        .unwrap_or_default()
    }
}
