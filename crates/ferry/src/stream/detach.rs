//! The keys that leave a container running: `ctrl-p,ctrl-q` unless told otherwise.

use std::str::FromStr;

/// A sequence of keys that detaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys(Vec<u8>);

/// A sequence that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid detach keys: {0:?} is neither a single character nor ctrl- and one of a-z @ [ \\ ] ^ _")]
pub(crate) struct InvalidKeys(String);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

impl FromStr for DetachKeys {
    type Err = InvalidKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        text.split(',').map(key).collect::<Result<_, _>>().map(Self)
    }
}

fn key(text: &str) -> Result<u8, InvalidKeys> {
    let invalid = || InvalidKeys(text.to_owned());
    match text.as_bytes() {
        [single] => Ok(*single),
        bytes => match bytes.strip_prefix(b"ctrl-") {
            Some([letter @ b'a'..=b'z']) => Ok(letter - b'a' + 1),
            Some([sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => Ok(sign - b'@'),
            _ => Err(invalid()),
        },
    }
}

/// Looks for the keys in what is typed.
#[derive(Debug)]
pub(super) struct Watch {
    keys: DetachKeys,
    /// How many of the keys were typed just now; they are held back.
    matched: usize,
}

/// What to do with what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Pass this on.
    Pass(Vec<u8>),
    /// The keys came; what stood before them is to be passed on first.
    Detach(Vec<u8>),
}

impl Watch {
    pub(super) fn new(keys: DetachKeys) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes typed bytes.
    pub(super) fn take(&mut self, typed: &[u8]) -> Typed {
        let keys = &self.keys.0;
        let mut pass = Vec::with_capacity(typed.len());
        for byte in typed {
            if keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == keys.len() {
                    self.matched = 0;
                    return Typed::Detach(pass);
                }
                continue;
            }
            // What was held back turned out to be meant for the container.
            pass.extend_from_slice(keys.get(..self.matched).unwrap_or_default());
            self.matched = usize::from(keys.first() == Some(byte));
            if self.matched == 0 {
                pass.push(*byte);
            } else if keys.len() == 1 {
                return Typed::Detach(pass);
            }
        }
        Typed::Pass(pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        for (text, keys) in [
            ("ctrl-p,ctrl-q", Some(vec![16, 17])),
            ("ctrl-@,a", Some(vec![0, b'a'])),
            ("ctrl-[", Some(vec![27])),
            ("ctrl-P", None),
            ("", None),
            ("ab", None),
        ] {
            assert_eq!(text.parse().ok(), keys.map(DetachKeys), "{text}");
        }
    }

    #[test]
    fn keys_are_found_across_reads_and_near_misses_are_passed_on() {
        let mut watch = Watch::new(DetachKeys::default());
        assert_eq!(watch.take(b"ab\x10"), Typed::Pass(b"ab".to_vec()));
        assert_eq!(watch.take(b"x\x10\x10"), Typed::Pass(b"\x10x\x10".to_vec()));
        assert_eq!(watch.take(b"\x11rest"), Typed::Detach(Vec::new()));
    }
}
