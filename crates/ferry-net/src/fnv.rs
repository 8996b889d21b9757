//! FNV-1a: a hash that is the same on every machine and in every release, for values that nobody attacks.

/// The 64-bit FNV-1a hash of bytes, RFC 9923.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_answer() {
        assert_eq!(super::hash(*b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
