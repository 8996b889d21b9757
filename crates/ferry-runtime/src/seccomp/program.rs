//! A compiled filter that can be kept, sent and loaded.

use std::os::fd::OwnedFd;

use ferry_sys::seccomp::{self, Instruction};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{LoadError, assembler::RETURN, decision::RET_USER_NOTIF};

/// A compiled filter; serialises as one string of hexadecimal digits, 16 an instruction, for it is most
/// of what a monitor has to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// `struct sock_filter` each: code in bits 0–15, jt 16–23, jf 24–31, k 32–63.
    #[serde(with = "hexadecimal")]
    instructions: Vec<u64>,
    /// `SECCOMP_FILTER_FLAG_*` that the profile asks for.
    flags: u64,
}

impl Program {
    pub(super) fn new(instructions: &[Instruction], flags: u64) -> Program {
        let pack = |instruction: &Instruction| {
            u64::from(instruction.code)
                | u64::from(instruction.jt) << 16
                | u64::from(instruction.jf) << 24
                | u64::from(instruction.k) << 32
        };
        Program {
            instructions: instructions.iter().map(pack).collect(),
            flags,
        }
    }

    /// Its instructions, in order.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction> {
        self.instructions.iter().map(|packed| Instruction {
            code: *packed as u16,
            jt: (packed >> 16) as u8,
            jf: (packed >> 24) as u8,
            k: (packed >> 32) as u32,
        })
    }

    /// Puts the filter in force for the calling thread and what it starts.
    ///
    /// Needs no_new_privs or CAP_SYS_ADMIN in the caller's user namespace: without no_new_privs it
    /// comes before capabilities drop, with it last. `seccomp(2)`.
    pub fn load(&self) -> Result<(), LoadError> {
        let instructions: Vec<Instruction> = self.instructions().collect();
        seccomp::install(&instructions, self.flags).map_err(refused)
    }

    /// As [`Self::load`], for a filter that reports calls: gives the descriptor by which they are
    /// answered. `seccomp_unotify(2)`.
    pub fn load_with_listener(&self) -> Result<OwnedFd, LoadError> {
        let instructions: Vec<Instruction> = self.instructions().collect();
        seccomp::install_with_listener(&instructions, self.flags).map_err(refused)
    }

    /// Whether the filter reports any call to a listener.
    #[must_use]
    pub fn reports(&self) -> bool {
        self.instructions()
            .any(|instruction| instruction.code == RETURN && instruction.k == RET_USER_NOTIF)
    }
}

fn refused(error: std::io::Error) -> LoadError {
    LoadError {
        errno: Errno::from_io_error(&error).unwrap_or(Errno::INVAL),
    }
}

mod hexadecimal {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const DIGITS: usize = 16;

    pub(super) fn serialize<S: Serializer>(numbers: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(numbers.len() * DIGITS);
        for number in numbers {
            // Writing to a string does not fail.
            let _ = write!(text, "{number:016x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (numbers, rest) = text.as_bytes().as_chunks::<DIGITS>();
        if !rest.is_empty() {
            return Err(D::Error::custom("a filter's length is no multiple of 16 digits"));
        }
        let parse = |digits: &[u8; DIGITS]| {
            let text = std::str::from_utf8(digits).map_err(D::Error::custom)?;
            u64::from_str_radix(text, 16).map_err(D::Error::custom)
        };
        numbers.iter().map(parse).collect()
    }
}
