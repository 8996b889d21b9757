//! Ids and names of containers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A container's or exec's id: 64 lower-case hexadecimal digits, random.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(String);

impl ContainerId {
    /// A new id.
    pub fn random() -> Self {
        use fmt::Write;
        let mut bytes = [0; 32];
        random_bytes(&mut bytes);
        Self(bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as people see it; also the container's default host name.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// Whether `name` may name a container. Source: Docker's `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn is_name(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

const ADJECTIVES: [&str; 32] = [
    "agile", "amber", "bold", "brave", "brisk", "calm", "clear", "coral", "crisp", "deep", "eager", "early", "fair",
    "fleet", "frosty", "gentle", "golden", "hardy", "keen", "kind", "lively", "lucid", "merry", "mild", "noble",
    "proud", "quiet", "rapid", "silver", "steady", "swift", "warm",
];

const NOUNS: [&str; 32] = [
    "anchor", "bay", "beacon", "bridge", "buoy", "cape", "cove", "current", "delta", "dock", "dune", "estuary",
    "fjord", "gull", "harbour", "heron", "island", "jetty", "keel", "lagoon", "lantern", "mast", "oar", "osprey",
    "pier", "port", "reef", "rudder", "sail", "strait", "tide", "wharf",
];

/// A name for a container whose maker gave none; `attempt` makes it longer when names are taken.
pub(super) fn random_name(attempt: u32) -> String {
    let mut bytes = [0; 4];
    random_bytes(&mut bytes);
    let pick = |words: &[&'static str; 32], byte: u8| words[usize::from(byte) % words.len()];
    let name = format!("{}_{}", pick(&ADJECTIVES, bytes[0]), pick(&NOUNS, bytes[1]));
    if attempt == 0 {
        name
    } else {
        format!("{name}{}", u16::from_ne_bytes([bytes[2], bytes[3]]))
    }
}

/// Fills `bytes` from the kernel's generator, which cannot fail once it is seeded at boot.
fn random_bytes(mut bytes: &mut [u8]) {
    use rustix::rand::{GetRandomFlags, getrandom};
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(len) => bytes = &mut bytes[len..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => panic!("getrandom(2) never fails with valid arguments: {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_well_formed() {
        let (one, two) = (ContainerId::random(), ContainerId::random());
        assert_ne!(one, two);
        assert_eq!((one.as_str().len(), one.short().len()), (64, 12));
        for attempt in 0..3 {
            assert!(is_name(&random_name(attempt)));
        }
        for name in ["", "a", "-a", ".a", "a b", "a/b", "é1"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
