//! What an engine, once stopped, must not leave: processes, mounts, control groups, links, nftables, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{UnmountFlags, unmount};

use crate::process::Process;

/// Name of the variable that marks an engine and its clients.
pub(crate) const MARK: &str = "FERRY_EXEC_ROOT";

/// Where an engine could leave something.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// Images and records.
    pub(crate) data_root: PathBuf,
    /// Sockets and state.
    pub(crate) exec_root: PathBuf,
    /// Name of its control groups.
    pub(crate) name: String,
}

impl Places {
    /// Processes of the engine: itself, zygote, monitors, and whatever runs in its containers.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let mark = self.exec_root.to_string_lossy().into_owned();
        // Zygote and monitors have no environment; the name of their control groups is among their arguments.
        let is_its_own = |process: &Process| {
            process.was_started_with(MARK, &mark)
                || process.command_line.contains(&self.name)
                || process.is_in_cgroup(&self.name)
        };
        Process::all().into_iter().filter(is_its_own).collect()
    }

    /// All that is left of it, in words.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        left.extend(
            self.processes()
                .iter()
                .map(|process| format!("process {:?} {}", process.pid, process.command_line)),
        );
        left.extend(self.mounts().iter().map(|path| format!("mount {}", path.display())));
        left.extend(
            self.cgroups()
                .iter()
                .map(|path| format!("control group {}", path.display())),
        );
        left.extend(self.files().iter().map(|path| format!("file {}", path.display())));
        left
    }

    /// Ends and removes all of it, so that a failed test does not burden others.
    pub(crate) fn remove(&self) {
        for _ in 0..100 {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            processes.iter().for_each(Process::kill);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for path in self.mounts().iter().rev() {
            let _ = unmount(path, UnmountFlags::DETACH);
        }
        // Deepest first: a control group with children cannot be removed.
        for path in self.cgroups().iter().rev() {
            let _ = fs::remove_dir(path);
        }
    }

    fn mounts(&self) -> Vec<PathBuf> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let targets = table
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from);
        targets
            .filter(|path| path.starts_with(&self.data_root) || path.starts_with(&self.exec_root))
            .collect()
    }

    fn cgroups(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        collect_folders(Path::new("/sys/fs/cgroup"), &mut |path| {
            if path.components().any(|part| part.as_os_str() == self.name.as_str()) {
                found.insert(path.to_owned());
            }
        });
        found
    }

    /// Records and sockets of containers that are gone, and the socket of the engine that is gone.
    fn files(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = ["ferry.sock", "ferry.pid"]
            .iter()
            .map(|name| self.exec_root.join(name))
            .filter(|path| path.exists())
            .collect();
        let emptied = [
            self.exec_root.join("containers"),
            self.data_root.join("containers"),
            self.data_root.join("snapshots"),
        ];
        for folder in emptied {
            found.extend(
                fs::read_dir(folder)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path()),
            );
        }
        found
    }
}

/// Links and nftables of the network namespace that this thread lives in.
pub(crate) fn of_network() -> Vec<String> {
    let lines = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let links = lines("ip", &["-o", "link", "show"]);
    let tables = lines("nft", &["list", "tables"]);
    let links = links
        .into_iter()
        .filter(|line| !line.contains(" lo:"))
        .map(|line| format!("link {line}"));
    links
        .chain(tables.into_iter().map(|line| format!("nft {line}")))
        .collect()
}

fn collect_folders(folder: &Path, take: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            take(&path);
            collect_folders(&path, take);
        }
    }
}
