//! Netlink attributes (`struct nlattr`): written with nesting, read with bounds. For nfnetlink, whose expressions no
//! library encodes; numbers there are in network byte order.

const HEADER_LEN: usize = 4;
const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// A growing list of attributes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        // Every value here is a name, a key or an expression, far below 64 KiB; lists are cut by their callers.
        let length = (HEADER_LEN + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A text with its terminating zero.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut terminated = value.as_bytes().to_vec();
        terminated.push(0);
        self.bytes(kind, &terminated)
    }

    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }

    /// Attributes that are encoded already.
    pub(crate) fn append(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The attributes in a stretch of bytes, as kind and value; ends at the first whose length lies.
pub(crate) fn iterate(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[l0, l1, k0, k1], _) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(HEADER_LEN..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK, value))
    })
}

/// The value of the first attribute of a kind.
pub(crate) fn find(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    iterate(bytes).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

/// The first attribute of a kind as a number in network byte order.
pub(crate) fn find_be32(bytes: &[u8], wanted: u16) -> Option<u32> {
    find(bytes, wanted)?
        .first_chunk()
        .map(|value| u32::from_be_bytes(*value))
}

/// The first attribute of a kind as text, without the terminating zero.
pub(crate) fn find_text(bytes: &[u8], wanted: u16) -> Option<String> {
    let value = find(bytes, wanted)?;
    let text = value.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_padding() {
        let mut attributes = Attributes::default();
        attributes.text(1, "ab").nested(2, |inner| {
            inner.be32(3, 0x0102_0304).bytes(4, &[9]);
        });
        let bytes = attributes.into_bytes();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(find_text(&bytes, 1).as_deref(), Some("ab"));
        let inner = find(&bytes, 2).unwrap();
        assert_eq!(find_be32(inner, 3), Some(0x0102_0304));
        assert_eq!(find(inner, 4), Some(&[9][..]));
        assert_eq!(find(inner, 5), None);
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        for hostile in [
            &[][..],
            &[1, 0],
            &[0, 0, 1, 0],
            &[3, 0, 1, 0],
            &[9, 0, 1, 0, 7],
            &[255, 255, 1, 0],
        ] {
            assert_eq!(iterate(hostile).count(), 0);
        }
    }
}
