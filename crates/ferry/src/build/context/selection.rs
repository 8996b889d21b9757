//! Which files of a context the engine asks for, by fsutil's rules: a pattern selects what it matches and all below it.

use ferry_build::ignore::{Ignore, PatternError};

/// What the engine asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::build) struct Asked {
    /// Only these and what they link to; empty means all.
    pub(in crate::build) follow: Vec<String>,
    /// Only what matches; empty means all.
    pub(in crate::build) include: Vec<String>,
    /// Not what matches.
    pub(in crate::build) exclude: Vec<String>,
}

/// The patterns that select files.
#[derive(Debug)]
pub(in crate::build) struct Selection {
    /// Excludes all that no include pattern asks for; none when all is asked for.
    others: Option<Ignore>,
    exclude: Ignore,
}

/// What to do with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it.
    Send,
    /// Leave it out, but look below it.
    LookBelow,
    /// Leave it out with all that is below it.
    LeaveOut,
}

impl Selection {
    /// From the engine's patterns, the links followed.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, PatternError> {
        let others = if include.is_empty() {
            None
        } else {
            // To include is to exclude everything with exceptions.
            let rules: Vec<String> = std::iter::once("**".to_owned())
                .chain(include.iter().map(|pattern| match pattern.strip_prefix('!') {
                    Some(exception) => exception.to_owned(),
                    None => format!("!{pattern}"),
                }))
                .collect();
            Some(Ignore::from_patterns(rules.iter().map(String::as_str))?)
        };
        Ok(Self {
            others,
            exclude: Ignore::from_patterns(exclude.iter().map(String::as_str))?,
        })
    }

    pub(super) fn verdict(&self, path: &str) -> Verdict {
        let by = |ignore: &Ignore| match (ignore.excludes(path), ignore.may_keep_below(path)) {
            (false, _) => Verdict::Send,
            (true, true) => Verdict::LookBelow,
            (true, false) => Verdict::LeaveOut,
        };
        match (self.others.as_ref().map_or(Verdict::Send, by), by(&self.exclude)) {
            (Verdict::LeaveOut, _) | (_, Verdict::LeaveOut) => Verdict::LeaveOut,
            (Verdict::Send, Verdict::Send) => Verdict::Send,
            _ => Verdict::LookBelow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(include: &[&str], exclude: &[&str], path: &str, expect: Verdict) {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let selection = Selection::new(&owned(include), &owned(exclude)).expect("patterns");
        assert_eq!(
            selection.verdict(path),
            expect,
            "{path} of {include:?} without {exclude:?}"
        );
    }

    #[test]
    fn patterns_select_what_they_match_and_all_below() {
        check(&[], &[], "a/b", Verdict::Send);
        check(&["a/b"], &[], "a", Verdict::LookBelow);
        check(&["a/b"], &[], "a/b/c", Verdict::Send);
        check(&["a/b"], &[], "x", Verdict::LeaveOut);
        check(&["*.c"], &[], "x.c", Verdict::Send);
        check(&["a", "!a/x"], &[], "a/x", Verdict::LeaveOut);
        check(&[], &["a"], "a/b", Verdict::LeaveOut);
        check(&[], &["a", "!a/b"], "a", Verdict::LookBelow);
        check(&[], &["a", "!a/b"], "a/b", Verdict::Send);
        check(&["a"], &["**/*.o"], "a/x.o", Verdict::LeaveOut);
        check(&["Dockerfile", ".dockerignore"], &[], "node_modules", Verdict::LeaveOut);
    }
}
