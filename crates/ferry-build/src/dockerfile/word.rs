//! Words of a line: split at blanks that are neither quoted nor escaped; quotes stay until expansion.

/// A word as it was written, with its place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// The text, quotes and escapes included.
    pub(crate) text: &'a str,
    /// Its first byte in the text that was split.
    pub(crate) offset: usize,
}

/// Splits `text` at blanks outside quotes. An unclosed quote runs to the end.
pub(crate) fn split_words(text: &str, escape: char) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if let Some(offset) = start.take() {
                    words.push(Word {
                        text: &text[offset..at],
                        offset,
                    });
                }
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        start.get_or_insert(at);
        // Within single quotes nothing is escaped.
        if c == escape && quote != Some('\'') {
            chars.next();
        }
    }
    if let Some(offset) = start {
        words.push(Word {
            text: &text[offset..],
            offset,
        });
    }
    words
}

/// `name=value` at the first `=`; the name may not hold quotes that span it.
pub(crate) fn split_name_value(word: &str) -> Option<(&str, &str)> {
    word.split_once('=')
}

/// A text without its quotes, and whether it had some.
pub(super) struct Unquoted {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// Takes quotes and escapes away; `None` when a quote is not closed.
pub(super) fn unquote(text: &str, escape: char) -> Option<Unquoted> {
    let mut out = String::new();
    let mut quoted = false;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                quoted = true;
            }
            Some(open) if c == open => quote = None,
            _ if c == escape && quote != Some('\'') => {
                quoted = true;
                out.push(chars.next().unwrap_or(escape));
            }
            _ => out.push(c),
        }
    }
    quote.is_none().then_some(Unquoted { text: out, quoted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        let check = |text: &str, expect: &[&str]| {
            let words: Vec<&str> = split_words(text, '\\').iter().map(|w| w.text).collect();
            assert_eq!(words, expect, "{text:?}");
        };
        check("", &[]);
        check("  a  b ", &["a", "b"]);
        check(r#"a="b c" d='e f'g"#, &[r#"a="b c""#, "d='e f'g"]);
        check(r"a\ b c", &[r"a\ b", "c"]);
        check(r#"a="x\" y" b"#, &[r#"a="x\" y""#, "b"]);
        check(r"a='x\' b", &[r"a='x\'", "b"]);
        check(r#"a="b c"#, &[r#"a="b c"#]);
        check("a\\", &["a\\"]);
    }
}
