//! Go's `fs.FileMode`, which FileSync sends, in Linux's terms.

const DIRECTORY: u32 = 1 << 31;
const SYMBOLIC_LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
const NAMED_PIPE: u32 = 1 << 25;
const SOCKET: u32 = 1 << 24;
const SETUID: u32 = 1 << 23;
const SETGID: u32 = 1 << 22;
const CHARACTER_DEVICE: u32 = 1 << 21;
const STICKY: u32 = 1 << 20;
const IRREGULAR: u32 = 1 << 19;
const TYPE: u32 = DIRECTORY | SYMBOLIC_LINK | DEVICE | NAMED_PIPE | SOCKET | CHARACTER_DEVICE | IRREGULAR;

/// What kind of file a mode speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileType {
    Regular,
    Directory,
    SymbolicLink,
    Fifo,
    Socket,
    Device,
}

/// The kind of file, or `None` for what no single kind is.
pub(super) fn file_type(mode: u32) -> Option<FileType> {
    match mode & TYPE {
        0 => Some(FileType::Regular),
        DIRECTORY => Some(FileType::Directory),
        SYMBOLIC_LINK => Some(FileType::SymbolicLink),
        NAMED_PIPE => Some(FileType::Fifo),
        SOCKET => Some(FileType::Socket),
        kind if kind & !CHARACTER_DEVICE == DEVICE => Some(FileType::Device),
        _ => None,
    }
}

/// Permission bits with setuid, setgid and sticky (`07777`).
pub(super) fn permissions(mode: u32) -> u32 {
    let bit = |go: u32, unix: u32| if mode & go == 0 { 0 } else { unix };
    (mode & 0o777) | bit(SETUID, 0o4000) | bit(SETGID, 0o2000) | bit(STICKY, 0o1000)
}

/// Linux's `st_mode` as Go says it; `None` for a socket or a device, which no client can take.
pub(super) fn from_unix(mode: u32) -> Option<u32> {
    let kind = match mode & 0o170_000 {
        0o100_000 => 0,
        0o040_000 => DIRECTORY,
        0o120_000 => SYMBOLIC_LINK,
        0o010_000 => NAMED_PIPE,
        _ => return None,
    };
    let bit = |unix: u32, go: u32| if mode & unix == 0 { 0 } else { go };
    Some(kind | (mode & 0o777) | bit(0o4000, SETUID) | bit(0o2000, SETGID) | bit(0o1000, STICKY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_modes_are_linux_modes() {
        for (mode, kind, bits) in [
            (0o644, Some(FileType::Regular), 0o644),
            (DIRECTORY | STICKY | 0o777, Some(FileType::Directory), 0o1777),
            (SETUID | SETGID | 0o755, Some(FileType::Regular), 0o6755),
            (SYMBOLIC_LINK | 0o777, Some(FileType::SymbolicLink), 0o777),
            (NAMED_PIPE | 0o600, Some(FileType::Fifo), 0o600),
            (DEVICE | CHARACTER_DEVICE, Some(FileType::Device), 0),
            (DEVICE, Some(FileType::Device), 0),
            (IRREGULAR, None, 0),
            (DIRECTORY | SYMBOLIC_LINK, None, 0),
        ] {
            assert_eq!(file_type(mode), kind, "{mode:o}");
            assert_eq!(permissions(mode), bits, "{mode:o}");
        }
        for unix in [0o100_644, 0o041_777, 0o106_755, 0o120_777, 0o010_600] {
            let mode = from_unix(unix).expect("a kind that clients take");
            assert!(file_type(mode).is_some(), "{unix:o}");
            assert_eq!(permissions(mode), unix & 0o7777, "{unix:o}");
        }
        assert_eq!(from_unix(0o020_666), None);
    }
}
