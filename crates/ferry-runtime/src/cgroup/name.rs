//! Names of control groups that cannot leave their parent.

use serde::{Deserialize, Serialize};

use super::Error;

/// One path component, such as a container's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChildName(String);

/// Path of the delegated parent below the mount points, such as `ferry` or `machine/ferry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParentPath(String);

impl ChildName {
    /// Checks a name: 1 to 255 bytes, no `/`, not `.` or `..`, no control character, and no
    /// beginning that the kernel uses for its own files.
    pub fn parse(name: &str) -> Result<ChildName, Error> {
        check_component(name, name)?;
        Ok(ChildName(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ParentPath {
    /// Checks a relative path of components; a leading `/` is accepted and dropped.
    pub fn parse(path: &str) -> Result<ParentPath, Error> {
        let relative = path.trim_matches('/');
        for component in relative.split('/') {
            check_component(component, path)?;
        }
        Ok(ParentPath(relative.to_owned()))
    }

    /// The top of every hierarchy.
    #[must_use]
    pub fn top() -> ParentPath {
        ParentPath(String::new())
    }

    /// Its components.
    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The path without leading or trailing `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Beginnings of the kernel's own files, so that a directory never collides with one.
const KERNEL_PREFIXES: &[&str] = &[
    "cgroup.",
    "cpu.",
    "cpuacct.",
    "cpuset.",
    "memory.",
    "pids.",
    "blkio.",
    "io.",
    "devices.",
    "freezer.",
    "hugetlb.",
    "net_cls.",
    "net_prio.",
    "perf_event.",
    "rdma.",
    "misc.",
    "irq.",
];

const KERNEL_FILES: &[&str] = &["tasks", "notify_on_release", "release_agent"];

fn check_component(component: &str, whole: &str) -> Result<(), Error> {
    let invalid = |reason| {
        Err(Error::InvalidName {
            name: whole.to_owned(),
            reason,
        })
    };
    match component {
        "" => return invalid("empty component"),
        "." | ".." => return invalid("dots are not names"),
        _ => {}
    }
    if component.len() > 255 {
        return invalid("longer than 255 bytes");
    }
    if component.chars().any(|c| c == '/' || c.is_control()) {
        return invalid("contains a slash or a control character");
    }
    if KERNEL_FILES.contains(&component) || KERNEL_PREFIXES.iter().any(|prefix| component.starts_with(prefix)) {
        return invalid("looks like one of the kernel's own files");
    }
    Ok(())
}

impl TryFrom<String> for ChildName {
    type Error = Error;
    fn try_from(name: String) -> Result<Self, Error> {
        ChildName::parse(&name)
    }
}

impl From<ChildName> for String {
    fn from(name: ChildName) -> String {
        name.0
    }
}

impl TryFrom<String> for ParentPath {
    type Error = Error;
    fn try_from(path: String) -> Result<Self, Error> {
        if path.is_empty() {
            return Ok(ParentPath::top());
        }
        ParentPath::parse(&path)
    }
}

impl From<ParentPath> for String {
    fn from(path: ParentPath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_or_collide_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\nb",
            "cgroup.procs",
            "memory.max",
            "tasks",
            &"x".repeat(256),
        ] {
            assert!(ChildName::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "/", "a//b", "a/../b", "../a"] {
            assert!(ParentPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ordinary_names_pass() {
        assert!(ChildName::parse(&"0f".repeat(32)).is_ok());
        assert_eq!(ParentPath::parse("/machine/ferry/").unwrap().as_str(), "machine/ferry");
    }
}
