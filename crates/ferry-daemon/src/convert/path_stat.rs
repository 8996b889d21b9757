//! What is at a path of a container, as clients get it in a header: JSON in base64, with Go's file modes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ferry_engine::container::PathStat;
use serde_json::json;

use super::time::rfc3339;

/// Bits of a mode: the mask, its value in inode(7), and Go's. Source: Go `io/fs`, `FileMode`.
const TYPES: [(u32, u32); 6] = [
    (0o040_000, 1 << 31),
    (0o120_000, 1 << 27),
    (0o060_000, 1 << 26),
    (0o020_000, 1 << 26 | 1 << 21),
    (0o010_000, 1 << 25),
    (0o140_000, 1 << 24),
];
const FLAGS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

pub(crate) fn encode(stat: &PathStat) -> String {
    let json = json!({
        "name": stat.name,
        "size": stat.size_bytes,
        "mode": go_mode(stat.mode),
        "mtime": rfc3339(stat.modified_at),
        "linkTarget": stat.link_target,
    });
    BASE64_STANDARD.encode(json.to_string())
}

fn go_mode(mode: u32) -> u32 {
    let kind = TYPES.iter().find(|(kind, _)| mode & 0o170_000 == *kind);
    let flags = FLAGS.iter().filter(|(flag, _)| mode & flag != 0).map(|(_, go)| go);
    mode & 0o777 | kind.map_or(0, |(_, go)| *go) | flags.fold(0, |all, go| all | go)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_as_go_has_them() {
        for (mode, expected) in [
            (0o100_644, 0o644),
            (0o041_777, 0x8010_01ff),
            (0o120_777, 0x0800_01ff),
            (0o020_666, 0x0420_01b6),
            (0o060_660, 0x0400_01b0),
            (0o104_755, 0x0080_01ed),
        ] {
            assert_eq!(go_mode(mode), expected, "{mode:o}");
        }
    }
}
