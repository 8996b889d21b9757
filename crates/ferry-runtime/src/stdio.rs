//! Where a process' standard streams come from and go to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The three standard streams of a container's or an exec's main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdio {
    /// A pseudo-terminal of this size instead of pipes; stdout and stderr are then one stream.
    pub tty: Option<WindowSize>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// Where output is kept, besides what attached clients get.
    pub log: Log,
}

/// Size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Docker's `OpenStdin` and `StdinOnce` as one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null` (with a terminal: nothing that clients write reaches it).
    Closed,
    /// Open for the process' whole life, also after an attached client ended its input.
    Open,
    /// Closed when the first attached client that wrote ends its input or goes away.
    Once,
}

/// What becomes of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Log {
    /// It goes to attached clients only, and is drained and dropped without them.
    None,
    /// Docker's json-file lines: `{"log":"…\n","stream":"stdout","time":"…"}`.
    JsonFile {
        /// The current file, created 0640; rotated ones are `<path>.1` (the newest) and so on.
        path: PathBuf,
        /// A file is rotated before it would grow past this; `None` is unlimited.
        max_size_bytes: Option<u64>,
        /// How many files exist at most, the current one included; 0 counts as 1.
        max_files: u32,
    },
    /// As `JsonFile`; what is set aside is compressed: `<path>.1.gz`.
    CompressedFile {
        /// As above.
        path: PathBuf,
        /// As above.
        max_size_bytes: u64,
        /// As above.
        max_files: u32,
    },
}
