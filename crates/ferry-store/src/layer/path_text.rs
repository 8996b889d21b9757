//! Paths of any bytes as text in records: what is not plain ASCII, and `%`, as `%` and two digits.

pub(super) fn write(path: &[u8]) -> String {
    use std::fmt::Write;
    path.iter().fold(String::with_capacity(path.len()), |mut text, byte| {
        match byte {
            b'%' | ..=b' ' | 0x7f.. => {
                let _ = write!(text, "%{byte:02x}");
            }
            byte => text.push(char::from(*byte)),
        }
        text
    })
}

/// The reverse of [`write`]; what it would not have written is taken as it stands.
pub(super) fn read(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                path.push(byte);
                rest = &tail[2..];
            }
            None => {
                path.push(*first);
                rest = tail;
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let path: Vec<u8> = (0..=255).collect();
        let text = write(&path);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(read(&text), path);
        assert_eq!(write(b"usr/share/100%"), "usr/share/100%25");
    }
}
