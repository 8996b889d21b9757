//! Ignore files: which files of a build context are left out.
//!
//! Pure, so that the side which sends the context and the side which builds agree. Source: Docker's
//! documentation, "Build context: .dockerignore files"; the last pattern that matches a path, or a
//! directory above it, decides.

pub use crate::glob::PatternError;
use crate::glob::{Dialect, Glob};

/// The patterns of an ignore file, in order.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    glob: Glob,
    effect: Effect,
    written: String,
}

/// What a match of a pattern does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Exclude,
    /// `!pattern`
    Include,
}

impl Ignore {
    /// Reads an ignore file. Lines that begin with `#` are comments.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::from_patterns(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// The same from single patterns; empty ones are skipped.
    pub fn from_patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut rules = Vec::new();
        for line in patterns {
            if let Some(rule) = Rule::parse(line.trim())? {
                rules.push(rule);
            }
        }
        Ok(Self { rules })
    }

    /// The patterns in the form that FileSync's `exclude-patterns` take.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.written.as_str())
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether `path`, relative to the context with `/` between names, is left out.
    ///
    /// A directory that is left out may still hold files that are not: see [`Ignore::may_keep_below`].
    pub fn excludes(&self, path: &str) -> bool {
        let mut is_excluded = false;
        for rule in &self.rules {
            // Only a rule of the other effect can change anything.
            if (rule.effect == Effect::Exclude) == is_excluded {
                continue;
            }
            if rule.glob.matches_or_parent_does(path) {
                is_excluded = !is_excluded;
            }
        }
        is_excluded
    }

    /// Whether a file below the directory `path`, which is left out itself, may be kept by a later `!` pattern.
    pub fn may_keep_below(&self, path: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.effect == Effect::Include && rule.glob.may_match_below(path))
    }
}

/// How often cleaning a pattern may uncover another one to clean; a line written by hand needs two.
const MAX_ROUNDS: usize = 8;

impl Rule {
    /// `/ a` and `/!a` become something that is to be cleaned again, as Docker does: what is sent to the other side
    /// must mean there what it means here.
    fn parse(written: &str) -> Result<Option<Self>, PatternError> {
        let mut line = written.to_owned();
        if line.is_empty() {
            return Ok(None);
        }
        for _ in 0..MAX_ROUNDS {
            let (effect, mark, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (Effect::Include, "!", pattern.trim()),
                None => (Effect::Exclude, "", line.as_str()),
            };
            if pattern.is_empty() {
                break;
            }
            let cleaned = clean(pattern);
            let again = format!("{mark}{cleaned}").trim().to_owned();
            if again == line {
                return Ok(Some(Self {
                    glob: Glob::parse(&cleaned, Dialect::Ignore)?,
                    effect,
                    written: line,
                }));
            }
            line = again;
        }
        Err(PatternError(written.to_owned()))
    }
}

/// Cleans a pattern as Go's `filepath.Clean` does, and takes a leading slash away.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return ".".to_owned();
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &str, path: &str, expect: bool) {
        let ignore = Ignore::parse(rules).unwrap();
        assert_eq!(ignore.excludes(path), expect, "{rules:?} on {path}");
    }

    #[test]
    fn the_last_match_decides() {
        check("", "a", false);
        check("# a\na", "a", true);
        check("a", "a/b/c", true);
        check("a", "ab", false);
        check("a", "x/a", false);
        check("**/a", "x/a", true);
        check("/a/", "a", true);
        check("./a//b", "a/b", true);
        check("*.md\n!README.md", "README.md", false);
        check("*.md\n!README.md", "OTHER.md", true);
        check("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true);
        check("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false);
        check("*\n!src", "src/a", false);
        check("*\n!src\nsrc/a", "src/a", true);
        check("**\n!a/b", "a/b", false);
        check("a\n!a/b", "a/b/c", false);
        check("a\n!a/b", "a/c", true);
        check("  a  ", "a", true);
        check(" #a", "#a", true);
        check(".git", ".git/config", true);
        check("**/.git", "x/.git/config", true);
        check("node_modules/**", "node_modules/x/y", true);
        check("..", "a", false);
        check(".", "a", false);
        check("\\#a", "#a", true);
        check("\u{feff}a", "a", true);
    }

    #[test]
    fn what_may_be_kept_below() {
        let check = |rules: &str, folder: &str, expect: bool| {
            let ignore = Ignore::parse(rules).unwrap();
            assert_eq!(ignore.may_keep_below(folder), expect, "{rules:?} below {folder}");
        };
        check("a", "a", false);
        check("a\n!a/b", "a", true);
        check("a\n!b", "a", false);
        check("*\n!**/keep", "a/b", true);
    }

    #[test]
    fn patterns_are_given_on_in_clean_form() {
        let ignore = Ignore::parse("# x\n/a/\n\n! b/./c \n").unwrap();
        assert_eq!(ignore.patterns().collect::<Vec<_>>(), ["a", "!b/c"]);
    }

    #[test]
    fn malformed_patterns_are_errors() {
        for rules in ["!", "[", "a\\"] {
            assert!(Ignore::parse(rules).is_err(), "{rules}");
        }
    }
}
