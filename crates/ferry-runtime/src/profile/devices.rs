//! Device nodes of every container, and which devices its processes may use.

use crate::device::{Access, Number, Rule, Verdict};

/// A character device that every container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Absolute path inside.
    pub path: &'static str,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// Mode of each of [`NODES`].
pub const NODE_MODE: u32 = 0o666;

/// Nodes that the runtime makes itself. Source: runtime-spec `config-linux.md#default-devices`.
pub const NODES: &[Node] = &[
    node("/dev/null", 3),
    node("/dev/zero", 5),
    node("/dev/full", 7),
    node("/dev/random", 8),
    node("/dev/urandom", 9),
    Node {
        path: "/dev/tty",
        major: 5,
        minor: 0,
    },
];

/// Links that the runtime makes itself: path and what it holds. Source: runtime-spec
/// `runtime-linux.md#dev-symbolic-links`, and /dev/ptmx as above.
pub const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/core", "/proc/kcore"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Rules by default: nothing but making nodes, the nodes above, and the ptys of its own devpts.
pub const RULES: &[Rule] = &[
    Rule::everything(Verdict::Deny),
    char(1, Number::Exactly(3), Access::ALL),
    char(1, Number::Exactly(5), Access::ALL),
    char(1, Number::Exactly(7), Access::ALL),
    char(1, Number::Exactly(8), Access::ALL),
    char(1, Number::Exactly(9), Access::ALL),
    char(5, Number::Exactly(0), Access::ALL),
    char(5, Number::Exactly(1), Access::ALL),
    char(5, Number::Exactly(2), Access::ALL),
    char(136, Number::Any, Access::ALL),
    Rule {
        access: Access::MKNOD,
        ..Rule::everything(Verdict::Allow)
    },
];

/// Rules of a privileged container.
pub const PRIVILEGED_RULES: &[Rule] = &[Rule::everything(Verdict::Allow)];

const fn node(path: &'static str, minor: u32) -> Node {
    Node { path, major: 1, minor }
}

const fn char(major: u32, minor: Number, access: Access) -> Rule {
    Rule::allow_char(Number::Exactly(major), minor, access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_these_lines() {
        let lines: Vec<String> = RULES.iter().flat_map(Rule::to_v1).collect();
        let expect = [
            "a",
            "c 1:3 rwm",
            "c 1:5 rwm",
            "c 1:7 rwm",
            "c 1:8 rwm",
            "c 1:9 rwm",
            "c 5:0 rwm",
            "c 5:1 rwm",
            "c 5:2 rwm",
            "c 136:* rwm",
            "b *:* m",
            "c *:* m",
        ];
        assert_eq!(lines, expect);
    }

    #[test]
    fn every_node_may_be_used() {
        for node in NODES {
            let rule = char(node.major, Number::Exactly(node.minor), Access::ALL);
            assert!(RULES.contains(&rule), "{node:?}");
        }
    }
}
