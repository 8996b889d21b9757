//! Patterns for paths: Go's `filepath.Match` for sources of COPY, and Docker's dialect with `**` for ignore files.
//!
//! A pattern is matched by walking the path once with the set of its parts that may come next, so
//! time is linear in path × pattern whatever the two are.

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    parts: Vec<Part>,
}

/// What `**` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// No more than `*`. Source: Go `path/filepath.Match`.
    Path,
    /// Any number of directories. Source: Docker's documentation of `.dockerignore`, moby/patternmatcher.
    Ignore,
}

/// A pattern that is malformed, such as an open `[`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern {0:?}")]
pub struct PatternError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Char(char),
    /// `?`: any character but `/`.
    One,
    /// `*`: any run without `/`.
    Star,
    /// `**/`: nothing, or anything that ends in `/`. [`Part::WithinDirectories`] follows it.
    Directories,
    WithinDirectories,
    /// `**` at the end: anything.
    Rest,
    /// `[a-c]`, `[^a]`.
    Class {
        ranges: Vec<(char, char)>,
        accepts: Listed,
    },
}

/// Whether a class takes the characters it lists, or all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Only,
    Not,
}

impl Glob {
    /// Compiles `text`.
    pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        let malformed = || PatternError(text.to_owned());
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if dialect == Dialect::Ignore && chars.next_if_eq(&'*').is_some() => {
                    // `***` and more mean no more than `**`.
                    while chars.next_if_eq(&'*').is_some() {}
                    chars.next_if_eq(&'/');
                    if chars.peek().is_none() {
                        parts.push(Part::Rest);
                    } else if parts.last() != Some(&Part::WithinDirectories) {
                        parts.extend([Part::Directories, Part::WithinDirectories]);
                    }
                }
                '*' => {
                    if parts.last() != Some(&Part::Star) {
                        parts.push(Part::Star);
                    }
                }
                '?' => parts.push(Part::One),
                '\\' => parts.push(Part::Char(chars.next().ok_or_else(malformed)?)),
                '[' => parts.push(class(&mut chars).ok_or_else(malformed)?),
                c => parts.push(Part::Char(c)),
            }
        }
        Ok(Self { parts })
    }

    /// Whether `text` holds characters that mean more than themselves.
    pub(crate) fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    /// Whether the whole of `path` matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.after(path)[self.parts.len()]
    }

    /// Whether the whole of `path` matches, or of a directory above it; one walk for all of them.
    pub(crate) fn matches_or_parent_does(&self, path: &str) -> bool {
        let end = self.parts.len();
        let mut reached = vec![false; end + 1];
        self.reach(&mut reached, 0);
        for c in path.chars() {
            if c == '/' && reached[end] {
                return true;
            }
            reached = self.next(&reached, c);
        }
        reached[end]
    }

    /// Whether something below the directory `path` may match.
    pub(crate) fn may_match_below(&self, path: &str) -> bool {
        let below = self.after(&format!("{path}/"));
        below[..self.parts.len()].contains(&true)
    }

    /// The parts that may come next after `path`; the last flag is the pattern's end.
    fn after(&self, path: &str) -> Vec<bool> {
        let mut reached = vec![false; self.parts.len() + 1];
        self.reach(&mut reached, 0);
        for c in path.chars() {
            reached = self.next(&reached, c);
        }
        reached
    }

    /// The parts that may come after `reached` and `c`.
    fn next(&self, reached: &[bool], c: char) -> Vec<bool> {
        let mut next = vec![false; self.parts.len() + 1];
        for (index, part) in self.parts.iter().enumerate() {
            if reached[index] {
                self.step(part, index, c, &mut next);
            }
        }
        next
    }

    fn step(&self, part: &Part, index: usize, c: char, next: &mut [bool]) {
        match part {
            Part::Char(wanted) if *wanted == c => self.reach(next, index + 1),
            Part::One if c != '/' => self.reach(next, index + 1),
            Part::Star if c != '/' => self.reach(next, index),
            Part::WithinDirectories => {
                next[index] = true;
                if c == '/' {
                    self.reach(next, index + 1);
                }
            }
            Part::Rest => self.reach(next, index),
            Part::Class { ranges, accepts } if c != '/' => {
                let is_listed = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                if is_listed == (*accepts == Listed::Only) {
                    self.reach(next, index + 1);
                }
            }
            _ => {}
        }
    }

    /// Marks `index` and all that it may skip to.
    fn reach(&self, reached: &mut [bool], index: usize) {
        reached[index] = true;
        match self.parts.get(index) {
            Some(Part::Star | Part::Rest) => self.reach(reached, index + 1),
            Some(Part::Directories) => {
                reached[index + 1] = true;
                self.reach(reached, index + 2);
            }
            _ => {}
        }
    }
}

/// A class after its `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let accepts = match chars.next_if(|c| *c == '^' || *c == '!') {
        Some(_) => Listed::Not,
        None => Listed::Only,
    };
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            ']' if !ranges.is_empty() => return Some(Part::Class { ranges, accepts }),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            c => c,
        };
        let mut high = low;
        if chars.next_if_eq(&'-').is_some() {
            high = match chars.next()? {
                ']' => return None,
                '\\' => chars.next()?,
                c => c,
            };
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dialect: Dialect, pattern: &str, path: &str, expect: bool) {
        let glob = Glob::parse(pattern, dialect).unwrap();
        assert_eq!(glob.matches(path), expect, "{pattern} ~ {path}");
    }

    #[test]
    fn as_go_matches_paths() {
        for (pattern, path, expect) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^e-g]", "abc", true),
            ("ab[^b-d]", "abc", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a?b", "a/b", false),
            ("a[^c]b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("**", "a/b", false),
            ("**", "ab", true),
        ] {
            check(Dialect::Path, pattern, path, expect);
        }
    }

    #[test]
    fn as_docker_ignores() {
        for (pattern, path, expect) in [
            ("**", "a/b/c", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a", true),
            ("**/a", "xa", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/*.go", "x/y.go", true),
            ("**/*.go", "y.go", true),
            ("a.b", "axb", false),
            ("a+b(c)|$", "a+b(c)|$", true),
            ("dir/*", "dir/x", true),
            ("dir/*", "dir/x/y", false),
            ("**/**/a", "a", true),
        ] {
            check(Dialect::Ignore, pattern, path, expect);
        }
    }

    #[test]
    fn malformed_patterns() {
        for pattern in ["[", "[]a]", "[-]", "[x-]", "[-x]", "a\\", "[a"] {
            assert!(Glob::parse(pattern, Dialect::Path).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_may_lie_below() {
        let check = |pattern: &str, folder: &str, expect: bool| {
            let glob = Glob::parse(pattern, Dialect::Ignore).unwrap();
            assert_eq!(glob.may_match_below(folder), expect, "{pattern} below {folder}");
        };
        check("a/b/c", "a", true);
        check("a/b/c", "a/b", true);
        check("a/b/c", "a/b/c", false);
        check("a/b/c", "b", false);
        check("**/c", "x/y", true);
        check("*/c", "x", true);
        check("*/c", "x/y", false);
    }
}
