//! Indents JSON without changing it: fields keep the order and the numbers their digits.

/// `text`, which must be JSON, with four blanks a level, as Docker prints objects.
pub(crate) fn indent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut level = 0_usize;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                out.push('"');
                let mut escaped = false;
                for inner in characters.by_ref() {
                    out.push(inner);
                    match inner {
                        '"' if !escaped => break,
                        '\\' => escaped = !escaped,
                        _ => escaped = false,
                    }
                }
            }
            '{' | '[' => {
                out.push(character);
                while characters.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                match characters.peek() {
                    Some('}' | ']') => out.extend(characters.next()),
                    _ => {
                        level += 1;
                        line(&mut out, level);
                    }
                }
            }
            '}' | ']' => {
                level = level.saturating_sub(1);
                line(&mut out, level);
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, level);
            }
            ':' => out.push_str(": "),
            blank if blank.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    out
}

fn line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", level));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blanks_between_tokens_change() {
        for (text, indented) in [
            ("[]", "[]"),
            ("{ }", "{}"),
            (
                r#"[{"b":1.50,"a":"x, {\"y\\\":[z]"},{}]"#,
                "[\n    {\n        \"b\": 1.50,\n        \"a\": \"x, {\\\"y\\\\\\\":[z]\"\n    },\n    {}\n]",
            ),
        ] {
            assert_eq!(indent(text), indented, "{text}");
        }
    }
}
