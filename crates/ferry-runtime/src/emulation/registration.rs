//! Interpreters that the host has registered for everybody.
//!
//! Source: kernel `admin-guide/binfmt-misc.rst`.

use std::path::{Path, PathBuf};

use ferry_oci::cpu::Cpu;

/// Where the host's list is mounted.
const DIRECTORY: &str = "/proc/sys/fs/binfmt_misc";

/// Files of the directory that are no entries.
const CONTROLS: &[&str] = &["register", "status"];

/// An enabled entry that takes programs of a CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// File name of the entry, such as `qemu-aarch64`.
    pub name: String,
    /// The interpreter that it names.
    pub interpreter: PathBuf,
    /// Its flags, such as `POCF`.
    pub flags: String,
}

impl Registration {
    /// Whether the interpreter works in any root: it was opened when it was registered.
    #[must_use]
    pub fn works_in_containers(&self) -> bool {
        self.flags.contains('F')
    }
}

/// An entry with the bytes that it looks for.
#[derive(Debug)]
pub(super) struct Registered {
    registration: Registration,
    offset: usize,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

/// The host's enabled entries.
pub(super) fn registered_on_this_host() -> Vec<Registered> {
    read(Path::new(DIRECTORY))
}

/// The first entry that takes programs of `cpu`.
pub(super) fn find(registered: &[Registered], cpu: &Cpu) -> Option<Registration> {
    let header = cpu.binfmt_magic();
    registered
        .iter()
        .find(|entry| entry.takes(&header))
        .map(|entry| entry.registration.clone())
}

impl Registered {
    fn takes(&self, header: &[u8]) -> bool {
        // Entries for file name extensions have no magic.
        let looked_at = header.get(self.offset..self.offset.saturating_add(self.magic.len()));
        !self.magic.is_empty()
            && looked_at.is_some_and(|bytes| {
                bytes.iter().enumerate().all(|(at, byte)| {
                    let mask = self.mask.get(at).copied().unwrap_or(0xff);
                    byte & mask == self.magic[at] & mask
                })
            })
    }
}

fn read(directory: &Path) -> Vec<Registered> {
    let enabled = std::fs::read_to_string(directory.join("status"));
    if enabled.is_ok_and(|status| status.trim() == "disabled") {
        return Vec::new();
    }
    let Ok(files) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut entries: Vec<Registered> = files
        .filter_map(Result::ok)
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| !CONTROLS.contains(&name.as_str()))
        .filter_map(|name| {
            let text = std::fs::read_to_string(directory.join(&name)).ok()?;
            parse(name, &text)
        })
        .collect();
    entries.sort_unstable_by(|a, b| a.registration.name.cmp(&b.registration.name));
    entries
}

fn parse(name: String, text: &str) -> Option<Registered> {
    let mut lines = text.lines();
    if lines.next()? != "enabled" {
        return None;
    }
    let field = |name: &str| {
        let mut lines = lines.clone();
        lines.find_map(|line| line.strip_prefix(name)).map(str::trim)
    };
    Some(Registered {
        offset: field("offset ").and_then(|digits| digits.parse().ok()).unwrap_or(0),
        magic: field("magic ").and_then(bytes).unwrap_or_default(),
        mask: field("mask ").and_then(bytes).unwrap_or_default(),
        registration: Registration {
            interpreter: PathBuf::from(field("interpreter ")?),
            flags: field("flags:").unwrap_or_default().to_owned(),
            name,
        },
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() {
        return None;
    }
    hex.as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN_ARM64: &str = "\
enabled
interpreter /usr/bin/qemu-aarch64-static
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
";

    #[test]
    fn an_entry_of_debian() {
        let entries = [parse("qemu-aarch64".to_owned(), DEBIAN_ARM64).unwrap()];
        let found = find(&entries, Cpu::named("arm64").unwrap()).unwrap();
        assert_eq!(found.name, "qemu-aarch64");
        assert_eq!(found.interpreter, Path::new("/usr/bin/qemu-aarch64-static"));
        assert!(found.works_in_containers());
        for other in ["amd64", "arm", "riscv64", "s390x", "ppc64le"] {
            assert_eq!(find(&entries, Cpu::named(other).unwrap()), None, "{other}");
        }
    }

    #[test]
    fn what_is_disabled_or_torn_takes_nothing() {
        assert!(parse(String::new(), &DEBIAN_ARM64.replace("enabled", "disabled")).is_none());
        assert!(parse(String::new(), "enabled\n").is_none());
        let extension = parse(String::new(), "enabled\ninterpreter /x\nflags: \nextension .jar\n").unwrap();
        assert!(find(&[extension], Cpu::host()).is_none());
        let odd = parse(
            String::new(),
            "enabled\ninterpreter /x\noffset 99999999999999999999\nmagic 7fé\n",
        )
        .unwrap();
        assert!(find(&[odd], Cpu::host()).is_none());
        assert!(read(Path::new("/nonexistent")).is_empty());
    }
}
