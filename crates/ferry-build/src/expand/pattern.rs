//! Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` is any text, `?` any character.

use super::ExpandReason;

/// A pattern.
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern in which `escape` makes the next character mean itself.
    pub(super) fn parse(text: &str, escape: char) -> Result<Self, ExpandReason> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                c if c == escape => match chars.next() {
                    Some(c @ ('*' | '?' | '}' | '/')) => Part::Char(c),
                    Some(c) if c == escape => Part::Char(c),
                    Some(c) => return Err(ExpandReason::PatternEscape(c)),
                    None => Part::Char(escape),
                },
                c => Part::Char(c),
            });
        }
        // Neighbouring stars mean one star and would only cost time.
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Ok(Self { parts })
    }

    /// `value` without the shortest (`greedy`: longest) prefix that matches.
    pub(super) fn trim_prefix<'v>(&self, value: &'v str, greedy: bool) -> &'v str {
        self.prefix_len(value, greedy).map_or(value, |len| &value[len..])
    }

    /// `value` without the shortest (`greedy`: longest) suffix that matches.
    pub(super) fn trim_suffix<'v>(&self, value: &'v str, greedy: bool) -> &'v str {
        let reversed = Self {
            parts: self.parts.iter().rev().copied().collect(),
        };
        let backwards: String = value.chars().rev().collect();
        reversed
            .prefix_len(&backwards, greedy)
            .map_or(value, |len| &value[..value.len() - len])
    }

    /// `value` with the first match, or all, replaced; matches are as long as can be.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        let mut replacing = true;
        while let Some(c) = rest.chars().next() {
            let matched = if replacing { self.prefix_len(rest, true) } else { None };
            match matched {
                Some(len) if len > 0 => {
                    out.push_str(replacement);
                    rest = &rest[len..];
                    replacing = all;
                }
                _ => {
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out
    }

    /// The length in bytes of the shortest or longest prefix that the whole pattern matches.
    ///
    /// It walks the value once with the set of parts that may come next, so time is linear in
    /// value × pattern whatever they are.
    fn prefix_len(&self, value: &str, greedy: bool) -> Option<usize> {
        let end = self.parts.len();
        let mut reached = vec![false; end + 1];
        self.reach(&mut reached, 0);
        let mut longest = reached[end].then_some(0);
        if longest.is_some() && !greedy {
            return longest;
        }
        for (at, c) in value.char_indices() {
            let mut next = vec![false; end + 1];
            for (index, part) in self.parts.iter().enumerate() {
                if !reached[index] {
                    continue;
                }
                match part {
                    Part::Any => self.reach(&mut next, index),
                    Part::One => self.reach(&mut next, index + 1),
                    Part::Char(wanted) if *wanted == c => self.reach(&mut next, index + 1),
                    Part::Char(_) => {}
                }
            }
            reached = next;
            if reached[end] {
                longest = Some(at + c.len_utf8());
                if !greedy {
                    return longest;
                }
            } else if !reached.contains(&true) {
                break;
            }
        }
        longest
    }

    /// Marks `index` and, since a star may match nothing, what follows it.
    fn reach(&self, reached: &mut [bool], mut index: usize) {
        reached[index] = true;
        while self.parts.get(index) == Some(&Part::Any) {
            index += 1;
            reached[index] = true;
        }
    }
}
