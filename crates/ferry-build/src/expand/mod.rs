//! Variable expansion and quote removal in words of a Dockerfile.
//!
//! Source: BuildKit `frontend/dockerfile/docs/reference.md#environment-replacement`; the rules for
//! escapes and unset names are those of BuildKit's lexer, which differ from a shell's.

mod pattern;

use std::iter::Peekable;
use std::str::Chars;

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {word:?}: {reason}")]
pub struct ExpandError {
    /// The word as it is written.
    pub word: String,
    /// What is wrong with it.
    pub reason: ExpandReason,
}

/// What is wrong with a word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each variant's message says it
pub enum ExpandReason {
    #[error("unexpected end of statement while looking for matching {0}")]
    Unclosed(&'static str),
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("invalid escape '\\{0}' in pattern")]
    PatternEscape(char),
    #[error("the value grows beyond {0} bytes")]
    TooLong(usize),
    #[error("substitutions are nested more than {0} deep")]
    TooDeep(usize),
}

/// Bounds on one word: its value after expansion, and how deep `${a:-${b:-…}}` may nest.
const MAX_VALUE_BYTES: usize = 4 << 20;
const MAX_DEPTH: usize = 100;

/// What becomes of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// They are removed, and escapes with them.
    Remove,
    /// They are text like any other (heredocs).
    Text,
    /// They keep their meaning and stay (names of steps).
    Keep,
}

/// What becomes of a name that has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    /// It is empty.
    Empty,
    /// It stays as it is written.
    Keep,
}

/// Expands words with the values that `lookup` gives.
pub(crate) struct Expander<'a> {
    pub(crate) escape: char,
    pub(crate) quotes: Quotes,
    pub(crate) unset: Unset,
    pub(crate) lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Expander<'_> {
    /// `word` with variables replaced, and quotes dealt with.
    pub(crate) fn word(&self, word: &str) -> Result<String, ExpandError> {
        self.run(word).map(|output| output.text)
    }

    /// The words that `word` becomes: unquoted values are split at blanks.
    pub(crate) fn words(&self, word: &str) -> Result<Vec<String>, ExpandError> {
        self.run(word).map(Output::into_words)
    }

    fn run(&self, word: &str) -> Result<Output, ExpandError> {
        let mut lexer = Lexer {
            expander: self,
            chars: word.chars().peekable(),
            depth: 0,
        };
        lexer.until(None, Escapes::Remove).map_err(|reason| ExpandError {
            word: word.chars().take(200).collect(),
            reason,
        })
    }
}

/// Whether an escape character stays before what it escapes: it does within patterns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Remove,
    Keep,
}

struct Lexer<'a> {
    expander: &'a Expander<'a>,
    chars: Peekable<Chars<'a>>,
    depth: usize,
}

type Lexed<T> = Result<T, ExpandReason>;

impl Lexer<'_> {
    /// Reads up to `stop`, or to the end.
    fn until(&mut self, stop: Option<char>, escapes: Escapes) -> Lexed<Output> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpandReason::TooDeep(MAX_DEPTH));
        }
        let quotes = self.expander.quotes;
        let mut out = Output::default();
        loop {
            match self.chars.peek().copied() {
                None if stop.is_some() => return Err(ExpandReason::MissingBrace),
                None => break,
                Some(c) if Some(c) == stop => {
                    self.chars.next();
                    break;
                }
                Some('\'') if quotes != Quotes::Text => self.single_quoted(&mut out)?,
                Some('"') if quotes != Quotes::Text => self.double_quoted(&mut out)?,
                Some('$') => {
                    let value = self.dollar()?;
                    out.push_split(&value)?;
                }
                Some(c) if c == self.expander.escape => {
                    self.chars.next();
                    if escapes == Escapes::Keep || quotes == Quotes::Keep {
                        out.push_quoted(c);
                    }
                    match self.chars.next() {
                        Some(escaped) => out.push_quoted(escaped),
                        None => break,
                    }
                }
                Some(c) => {
                    self.chars.next();
                    out.push(c);
                }
            }
            out.check_length()?;
        }
        self.depth -= 1;
        Ok(out)
    }

    fn single_quoted(&mut self, out: &mut Output) -> Lexed<()> {
        self.quote_mark(out);
        loop {
            match self.chars.peek() {
                None => return Err(ExpandReason::Unclosed("single-quote")),
                Some('\'') => break,
                Some(&c) => {
                    self.chars.next();
                    out.push_quoted(c);
                }
            }
        }
        self.quote_mark(out);
        Ok(())
    }

    fn double_quoted(&mut self, out: &mut Output) -> Lexed<()> {
        let escape = self.expander.escape;
        self.quote_mark(out);
        loop {
            match self.chars.peek().copied() {
                None => return Err(ExpandReason::Unclosed("double-quote")),
                Some('"') => break,
                Some('$') => {
                    let value = self.dollar()?;
                    out.push_quoted_text(&value)?;
                }
                Some(c) if c == escape => {
                    self.chars.next();
                    let Some(next) = self.chars.next() else {
                        return Err(ExpandReason::Unclosed("double-quote"));
                    };
                    let escapable = next == '"' || next == '$' || next == escape;
                    if !escapable || self.expander.quotes == Quotes::Keep {
                        out.push_quoted(c);
                    }
                    out.push_quoted(next);
                }
                Some(c) => {
                    self.chars.next();
                    out.push_quoted(c);
                }
            }
        }
        self.quote_mark(out);
        Ok(())
    }

    /// Steps over a quote; an empty quoted text is a word too.
    fn quote_mark(&mut self, out: &mut Output) {
        let mark = self.chars.next();
        out.begin_word();
        if let (Some(mark), Quotes::Keep) = (mark, self.expander.quotes) {
            out.push_quoted(mark);
        }
    }

    /// What stands at a `$`, up to and without the text after it.
    fn dollar(&mut self) -> Lexed<String> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(self.value(&name).unwrap_or_else(|| self.kept(|| format!("${name}"))));
        }
        self.chars.next();
        match self.chars.peek() {
            None => return Err(ExpandReason::MissingBrace),
            Some('{' | '}' | ':') => return Err(ExpandReason::BadSubstitution),
            Some(_) => {}
        }
        let name = self.name();
        match self.chars.next() {
            None => Err(ExpandReason::MissingBrace),
            Some('}') => Ok(self
                .value(&name)
                .unwrap_or_else(|| self.kept(|| format!("${{{name}}}")))),
            Some(':') => match self.chars.next() {
                None => Err(ExpandReason::MissingBrace),
                Some(operator @ ('-' | '+' | '?')) => self.conditional(&name, operator, EmptyIs::Unset),
                Some(other) => Err(ExpandReason::Modifier(format!(":{other}"))),
            },
            Some(operator @ ('-' | '+' | '?')) => self.conditional(&name, operator, EmptyIs::Set),
            Some(side @ ('#' | '%')) => self.trimmed(&name, side),
            Some('/') => self.replaced(&name),
            Some(other) => Err(ExpandReason::Modifier(other.to_string())),
        }
    }

    fn conditional(&mut self, name: &str, operator: char, empty: EmptyIs) -> Lexed<String> {
        let word = self.until(Some('}'), Escapes::Remove)?.text;
        let value = self.value(name);
        let colon = if empty == EmptyIs::Unset { ":" } else { "" };
        if value.is_none() && self.expander.unset == Unset::Keep {
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let was_set = value.is_some();
        let value = value.filter(|value| empty == EmptyIs::Set || !value.is_empty());
        match (operator, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) => Err(ExpandReason::Required {
                name: name.to_owned(),
                message: match (word.is_empty(), was_set) {
                    (false, _) => word,
                    (true, false) => "is not allowed to be unset".to_owned(),
                    (true, true) => "is not allowed to be empty".to_owned(),
                },
            }),
        }
    }

    fn trimmed(&mut self, name: &str, side: char) -> Lexed<String> {
        let greedy = self.chars.next_if_eq(&side).is_some();
        let word = self.until(Some('}'), Escapes::Keep)?.text;
        let Some(value) = self.value(name) else {
            let operator = if greedy {
                side.to_string().repeat(2)
            } else {
                side.to_string()
            };
            return Ok(self.kept(|| format!("${{{name}{operator}{word}}}")));
        };
        let pattern = pattern::Pattern::parse(&word, self.expander.escape)?;
        let trimmed = match side {
            '#' => pattern.trim_prefix(&value, greedy),
            _ => pattern.trim_suffix(&value, greedy),
        };
        Ok(trimmed.to_owned())
    }

    fn replaced(&mut self, name: &str) -> Lexed<String> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let word = self.until(Some('/'), Escapes::Keep)?.text;
        let replacement = self.until(Some('}'), Escapes::Remove)?.text;
        let Some(value) = self.value(name) else {
            let slashes = if all { "//" } else { "/" };
            return Ok(self.kept(|| format!("${{{name}{slashes}{word}/{replacement}}}")));
        };
        let pattern = pattern::Pattern::parse(&word, self.expander.escape)?;
        Ok(pattern.replace(&value, &replacement, all))
    }

    /// A name; a run of digits or one of the shell's special parameters counts as one.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(digit) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(digit);
                }
                return name;
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                name.extend(self.chars.next());
                return name;
            }
            _ => {}
        }
        while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.expander.lookup)(name)
    }

    fn kept(&self, written: impl FnOnce() -> String) -> String {
        match self.expander.unset {
            Unset::Empty => String::new(),
            Unset::Keep => written(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptyIs {
    Set,
    Unset,
}

/// The text so far, and the same text as words.
#[derive(Default)]
struct Output {
    text: String,
    words: Vec<String>,
    current: Option<String>,
}

impl Output {
    fn begin_word(&mut self) {
        self.current.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        if c.is_whitespace() {
            self.words.extend(self.current.take());
        } else {
            self.current.get_or_insert_default().push(c);
        }
    }

    fn push_quoted(&mut self, c: char) {
        self.text.push(c);
        self.current.get_or_insert_default().push(c);
    }

    fn push_split(&mut self, value: &str) -> Lexed<()> {
        value.chars().for_each(|c| self.push(c));
        self.check_length()
    }

    fn push_quoted_text(&mut self, value: &str) -> Lexed<()> {
        value.chars().for_each(|c| self.push_quoted(c));
        self.check_length()
    }

    fn check_length(&self) -> Lexed<()> {
        if self.text.len() > MAX_VALUE_BYTES {
            return Err(ExpandReason::TooLong(MAX_VALUE_BYTES));
        }
        Ok(())
    }

    fn into_words(mut self) -> Vec<String> {
        self.words.extend(self.current.take());
        self.words
    }
}

#[cfg(test)]
mod tests;
