//! Exec form and shell form: `["a", "b"]` or a text for the shell.

use super::error::Fault;

/// A command as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandForm {
    /// `["a", "b"]`: the words themselves.
    Exec(Vec<String>),
    /// Anything else: a text that the shell reads.
    Shell(String),
}

impl CommandForm {
    /// Reads `text`: a JSON array of strings is the exec form; an array of anything else is an error;
    /// what is no JSON at all is the shell form.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match json_array(text)? {
            Some(words) => Self::Exec(words),
            None => Self::Shell(text.trim().to_owned()),
        })
    }

    /// The words to run, with `shell` before a text.
    pub fn to_args(&self, shell: &[String]) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(text) => shell.iter().chain([text]).cloned().collect(),
        }
    }
}

/// The strings of `text` if it is a JSON array.
pub(crate) fn json_array(text: &str) -> Result<Option<Vec<String>>, Fault> {
    if !text.trim_start().starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text.trim()) else {
        return Ok(None);
    };
    values
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(text) => Ok(text),
            _ => Err(Fault::JsonNotStrings),
        })
        .collect::<Result<Vec<_>, _>>()
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let shell = |text: &str| CommandForm::Shell(text.to_owned());
        assert_eq!(CommandForm::parse("echo hi ").unwrap(), shell("echo hi"));
        assert_eq!(
            CommandForm::parse(r#" ["a", "b c"] "#).unwrap(),
            CommandForm::Exec(vec!["a".into(), "b c".into()])
        );
        assert_eq!(CommandForm::parse("[ -f x ] && y").unwrap(), shell("[ -f x ] && y"));
        assert_eq!(CommandForm::parse("['a']").unwrap(), shell("['a']"));
        assert_eq!(CommandForm::parse("[1]"), Err(Fault::JsonNotStrings));
        assert_eq!(CommandForm::parse("[]").unwrap(), CommandForm::Exec(vec![]));
    }
}
