//! A text in quotes, as Go's `strconv.Quote` writes it.

use std::fmt::Write;

/// `text` in double quotes; what cannot be seen is escaped.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            _ if is_seen(c) => out.push(c),
            _ => {
                let code = u32::from(c);
                let _ = match code {
                    ..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
    out
}

/// Rust escapes what Unicode calls neither visible nor a blank.
fn is_seen(c: char) -> bool {
    c == '\'' || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_does() {
        for (text, quoted) in [
            ("sh -c 'x'", r#""sh -c 'x'""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("a\n\t\x1b[0m", r#""a\n\t\x1b[0m""#),
            ("日本…", "\"日本…\""),
            ("\u{200b}", r#""\u200b""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
