//! What sets one engine apart from another on the same host: its folders, and names derived from them.

use std::path::{Path, PathBuf};

use ferry_oci::Digest;
use ferry_runtime::cgroup::ParentPath;

/// Where the engine keeps what outlives a boot.
pub const DEFAULT_DATA_ROOT: &str = "/var/lib/ferry";
/// Where the engine keeps what does not.
pub const DEFAULT_EXEC_ROOT: &str = "/run/ferry";

/// An engine's folders and the names that it gives to kernel objects.
#[derive(Debug, Clone)]
pub struct Instance {
    /// What outlives a boot: store, containers.
    pub data_root: PathBuf,
    /// What does not: sockets, state of running containers.
    pub exec_root: PathBuf,
    suffix: Option<String>,
}

impl Instance {
    /// The engine with these folders. Kernel objects of the default exec-root are called `ferry`, those
    /// of another carry eight digits of its path's digest, so that engines live side by side.
    pub fn new(data_root: PathBuf, exec_root: PathBuf) -> Self {
        let suffix = (exec_root != Path::new(DEFAULT_EXEC_ROOT)).then(|| {
            let mut hex = Digest::of(exec_root.as_os_str().as_encoded_bytes()).hex();
            hex.truncate(8);
            hex
        });
        Self {
            data_root,
            exec_root,
            suffix,
        }
    }

    /// Name of the parent cgroup and of the nftables table.
    pub fn name(&self) -> String {
        match &self.suffix {
            Some(suffix) => format!("ferry-{suffix}"),
            None => "ferry".to_owned(),
        }
    }

    /// Name of the default bridge; at most 15 characters (`IFNAMSIZ`).
    pub fn bridge_name(&self) -> String {
        match &self.suffix {
            Some(suffix) => format!("ferry-{suffix}"),
            None => "ferry0".to_owned(),
        }
    }

    /// The cgroup below which containers get theirs.
    pub(crate) fn cgroup_parent(&self) -> ParentPath {
        ParentPath::parse(&self.name()).expect("an instance's name is a cgroup's name")
    }

    /// Folder of a container's durable files.
    pub fn container_dir(&self, id: &str) -> PathBuf {
        self.data_root.join("containers").join(id)
    }

    /// Folder of a running container's, exec's or build step's files.
    pub fn state_dir(&self, id: &str) -> PathBuf {
        self.exec_root.join("containers").join(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_side_by_side_have_names_of_their_own() {
        let default = Instance::new(DEFAULT_DATA_ROOT.into(), DEFAULT_EXEC_ROOT.into());
        let other = Instance::new("/a".into(), "/b".into());
        assert_eq!(
            (default.name(), default.bridge_name()),
            ("ferry".into(), "ferry0".into())
        );
        assert_ne!(other.name(), default.name());
        assert!(other.bridge_name().len() <= 15);
    }
}
