//! Parser directives: `# escape=`, `# syntax=` and `# check=` at the very top of a Dockerfile.

use super::error::{Fault, SyntaxResult};

/// What the directives at the top of a Dockerfile say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The character that continues lines and escapes others: `\` or `` ` ``.
    pub escape: char,
    /// `# syntax=`: an image that BuildKit would parse the file with. Ferry parses it itself.
    pub syntax: Option<String>,
    /// `# check=`: options of the checks.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Self {
            escape: '\\',
            syntax: None,
            check: None,
        }
    }
}

impl Directives {
    /// Reads the directives of `text`. They end at the first line that is not a known directive.
    pub(crate) fn parse(text: &str) -> SyntaxResult<Self> {
        let mut directives = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let Some((name, value)) = directive(line) else {
                break;
            };
            let name = name.to_ascii_lowercase();
            if seen.contains(&name) {
                return Err(Fault::DuplicateDirective { name }.at_line(number));
            }
            match name.as_str() {
                "escape" => {
                    directives.escape = match value {
                        "\\" => '\\',
                        "`" => '`',
                        _ => {
                            let value = value.to_owned();
                            return Err(Fault::BadEscape { value }.at_line(number));
                        }
                    }
                }
                "syntax" => directives.syntax = Some(value.to_owned()),
                "check" => directives.check = Some(value.to_owned()),
                _ => break,
            }
            seen.push(name);
        }
        Ok(directives)
    }
}

/// `# name = value` with a name of letters, digits and `_`.
fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let name = name.trim();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_stand_at_the_top() {
        let check = |text: &str, escape: char, syntax: Option<&str>| {
            let directives = Directives::parse(text).unwrap();
            assert_eq!(directives.escape, escape, "{text:?}");
            assert_eq!(directives.syntax.as_deref(), syntax, "{text:?}");
        };
        check("FROM x", '\\', None);
        check("# escape=`\nFROM x", '`', None);
        check(
            "#ESCAPE = `\n# syntax=docker/dockerfile:1\n",
            '`',
            Some("docker/dockerfile:1"),
        );
        check("# a comment\n# escape=`\n", '\\', None);
        check("\n# escape=`\n", '\\', None);
        check("# unknown=1\n# escape=`\n", '\\', None);
    }

    #[test]
    fn bad_directives_are_errors() {
        let fault = |text: &str| Directives::parse(text).unwrap_err().fault.to_string();
        assert_eq!(fault("# escape=x"), "invalid escape token 'x'");
        assert_eq!(
            fault("# escape=`\n# escape=`"),
            "only one escape parser directive can be used"
        );
    }
}
