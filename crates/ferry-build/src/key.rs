//! Cache keys: digests over fields that cannot run into one another.

use ferry_oci::{Digest, Hasher};

/// Counted up when what a key means changes, so that old records are not found.
const FORMAT: u64 = 1;

/// Hashes fields, each with its length before it.
pub(crate) struct KeyHasher {
    hasher: Hasher,
}

impl KeyHasher {
    /// A hasher for keys of one kind.
    pub(crate) fn new(kind: &str) -> Self {
        let mut hasher = Self { hasher: Hasher::new() };
        hasher.number(FORMAT);
        hasher.text(kind);
        hasher
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hasher.update(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }

    /// A list: its length, then each item.
    pub(crate) fn list(&mut self, items: impl ExactSizeIterator<Item = impl AsRef<[u8]>>) {
        self.number(items.len() as u64);
        for item in items {
            self.bytes(item.as_ref());
        }
    }

    pub(crate) fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_together() {
        let key = |fields: &[&str]| {
            let mut hasher = KeyHasher::new("test");
            fields.iter().for_each(|field| hasher.text(field));
            hasher.finish()
        };
        assert_ne!(key(&["a", "bc"]), key(&["ab", "c"]));
        assert_ne!(key(&["a", ""]), key(&["a"]));
    }
}
