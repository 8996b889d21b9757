//! `--chmod`: octal modes and symbolic ones, `u=rwX,go=rX`.

use serde::Serialize;

/// What `--chmod` does to a file's mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum ModeChange {
    /// Sets all twelve bits.
    Exact(u32),
    /// Applies clauses in order. Source: chmod(1).
    Symbolic(Vec<Clause>),
}

/// One operator of a symbolic mode, as in `go-w`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Clause {
    /// Bits of the classes it is about, 0o700, 0o070, 0o007 or several.
    classes: u32,
    operator: char,
    /// `rwxXst` and `ugo`, as they are written.
    permissions: String,
}

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
const STICKY: u32 = 0o1000;

impl ModeChange {
    /// Reads `0755` or `u=rwX,go=rX`; `None` when it is neither.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok()?;
            return (mode <= 0o7777).then_some(Self::Exact(mode));
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let operators = part.find(['+', '-', '='])?;
            let (who, mut actions) = part.split_at(operators);
            let mut classes = 0;
            for class in who.chars() {
                classes |= match class {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return None,
                };
            }
            if who.is_empty() {
                classes = 0o777;
            }
            while let Some(operator) = actions.chars().next() {
                let rest = &actions[1..];
                let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
                let permissions = &rest[..end];
                if !permissions.chars().all(|c| "rwxXstugo".contains(c)) {
                    return None;
                }
                clauses.push(Clause {
                    classes,
                    operator,
                    permissions: permissions.to_owned(),
                });
                actions = &rest[end..];
            }
        }
        Some(Self::Symbolic(clauses))
    }

    /// The mode that a file of mode `mode` gets.
    pub(crate) fn apply(&self, mode: u32, kind: ModeOf) -> u32 {
        match self {
            Self::Exact(exact) => *exact,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode & 0o7777, |mode, clause| clause.apply(mode, kind)),
        }
    }
}

/// Whose mode is changed: `X` depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModeOf {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

impl Clause {
    fn apply(&self, mode: u32, kind: ModeOf) -> u32 {
        let mut bits = 0;
        for permission in self.permissions.chars() {
            bits |= match permission {
                'r' => 0o444 & self.classes,
                'w' => 0o222 & self.classes,
                'x' => 0o111 & self.classes,
                'X' if kind == ModeOf::Directory || mode & 0o111 != 0 => 0o111 & self.classes,
                's' => self.special(0o700, SET_USER_ID) | self.special(0o070, SET_GROUP_ID),
                't' => STICKY,
                'u' => (((mode >> 6) & 7) * 0o111) & self.classes,
                'g' => (((mode >> 3) & 7) * 0o111) & self.classes,
                'o' => ((mode & 7) * 0o111) & self.classes,
                _ => 0,
            };
        }
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => {
                let special = self.special(0o700, SET_USER_ID) | self.special(0o070, SET_GROUP_ID);
                (mode & !(self.classes | special)) | bits
            }
        }
    }

    fn special(&self, class: u32, bit: u32) -> u32 {
        if self.classes & class != 0 { bit } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let check = |text: &str, from: u32, kind: ModeOf, expect: u32| {
            let got = ModeChange::parse(text).map(|change| change.apply(from, kind));
            assert_eq!(got, Some(expect), "{text} of {from:o}");
        };
        check("644", 0o4755, ModeOf::File, 0o644);
        check("07777", 0, ModeOf::File, 0o7777);
        check("u=rwX,go=rX", 0o600, ModeOf::File, 0o644);
        check("u=rwX,go=rX", 0o700, ModeOf::File, 0o755);
        check("u=rwX,go=rX", 0o700, ModeOf::Directory, 0o755);
        check("+x", 0o644, ModeOf::File, 0o755);
        check("go-w,u+s", 0o777, ModeOf::File, 0o4755);
        check("g=u", 0o750, ModeOf::File, 0o770);
        check("a=r", 0o6777, ModeOf::File, 0o444);
        check("+t", 0o777, ModeOf::Directory, 0o1777);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "8", "10000", "rw", "u", "z+x", "u+q", "u=rwx,"] {
            assert_eq!(ModeChange::parse(text), None, "{text}");
        }
    }
}
