//! Words of a template: text between actions, and the tokens inside them.

use super::Error;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Printed as it is.
    Text(String),
    /// What stands between `{{` and `}}`.
    Action(Vec<Token>),
}

/// A token inside an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `.` alone.
    Dot,
    /// `.Name`; the flag tells whether a blank stood before it, which makes it a value of its own.
    Field(String, Spacing),
    /// `$` or `$name`, without the dollar.
    Variable(String),
    /// A function or keyword.
    Word(String),
    /// A quoted string.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    Pipe,
    Comma,
    Open,
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// What stood before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spacing {
    Apart,
    Joined,
}

/// Cuts a template into pieces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let (before, after) = match rest.split_once("{{") {
            Some(parts) => parts,
            None => {
                push_text(&mut pieces, if trim_next { rest.trim_start() } else { rest });
                return Ok(pieces);
            }
        };
        let trims_before = after.starts_with("- ") || after.starts_with("-\n") || after.starts_with("-\t");
        let mut before = if trim_next { before.trim_start() } else { before };
        if trims_before {
            before = before.trim_end();
        }
        push_text(&mut pieces, before);
        let inside = if trims_before { &after[1..] } else { after };
        let (tokens, next, trims_after) = action(inside)?;
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action(tokens));
        }
        trim_next = trims_after;
        rest = next;
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The tokens of an action (none for a comment), what follows it, and whether blanks after it go.
fn action(text: &str) -> Result<(Option<Vec<Token>>, &str, bool), Error> {
    let trimmed = text.trim_start();
    if let Some(comment) = trimmed.strip_prefix("/*") {
        let (_, after) = comment
            .split_once("*/")
            .ok_or_else(|| Error::Syntax("unclosed comment".to_owned()))?;
        let after = after.trim_start();
        if let Some(next) = after.strip_prefix("-}}") {
            return Ok((None, next, true));
        }
        return match after.strip_prefix("}}") {
            Some(next) => Ok((None, next, false)),
            None => Err(Error::Syntax("comment ends before closing delimiter".to_owned())),
        };
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut spacing = Spacing::Apart;
    loop {
        let after_blanks = rest.trim_start();
        if after_blanks.len() < rest.len() {
            spacing = Spacing::Apart;
        }
        let blank_before = after_blanks.len() < rest.len();
        rest = after_blanks;
        if let Some(next) = rest.strip_prefix("}}") {
            return Ok((Some(tokens), next, false));
        }
        if let Some(next) = rest.strip_prefix("-}}")
            && blank_before
        {
            return Ok((Some(tokens), next, true));
        }
        let (token, next) = token(rest, spacing)?;
        tokens.push(token);
        rest = next;
        spacing = Spacing::Joined;
    }
}

fn token(text: &str, spacing: Spacing) -> Result<(Token, &str), Error> {
    let Some(first) = text.chars().next() else {
        return Err(Error::Syntax("unclosed action".to_owned()));
    };
    let skip = |count: usize| text.get(count..).unwrap_or_default();
    match first {
        '|' => Ok((Token::Pipe, skip(1))),
        ',' => Ok((Token::Comma, skip(1))),
        '(' => Ok((Token::Open, skip(1))),
        ')' => Ok((Token::Close, skip(1))),
        '=' => Ok((Token::Assign, skip(1))),
        ':' if text.starts_with(":=") => Ok((Token::Declare, skip(2))),
        '"' => quoted(text),
        '`' => match skip(1).split_once('`') {
            Some((raw, next)) => Ok((Token::Text(raw.to_owned()), next)),
            None => Err(Error::Syntax("unterminated raw quoted string".to_owned())),
        },
        '$' => {
            let (name, next) = word(skip(1));
            Ok((Token::Variable(name.to_owned()), next))
        }
        '.' if skip(1).starts_with(|c: char| c.is_alphabetic() || c == '_') => {
            let (name, next) = word(skip(1));
            Ok((Token::Field(name.to_owned(), spacing), next))
        }
        '.' if !skip(1).starts_with(|c: char| c.is_ascii_digit()) => Ok((Token::Dot, skip(1))),
        c if c.is_ascii_digit() || c == '-' || c == '+' || c == '.' => number(text),
        c if c.is_alphabetic() || c == '_' => {
            let (name, next) = word(text);
            Ok((Token::Word(name.to_owned()), next))
        }
        c => Err(Error::Syntax(format!("unexpected {c:?} in command"))),
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn number(text: &str) -> Result<(Token, &str), Error> {
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_alphanumeric() || *c == '.' || *c == '_' || (*at == 0 && (*c == '-' || *c == '+'))))
        .map_or(text.len(), |(at, _)| at);
    let (digits, next) = text.split_at(end);
    let bad = || Error::Syntax(format!("bad number syntax: {digits:?}"));
    let plain = digits.trim_start_matches('+').replace('_', "");
    let value = match plain.parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => serde_json::Number::from_f64(plain.parse().map_err(|_| bad())?).ok_or_else(bad)?,
    };
    Ok((Token::Number(value), next))
}

fn quoted(text: &str) -> Result<(Token, &str), Error> {
    let unterminated = || Error::Syntax("unterminated quoted string".to_owned());
    let mut out = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((Token::Text(out), text.get(at + 1..).unwrap_or_default())),
            '\n' => return Err(unterminated()),
            '\\' => match characters.next().ok_or_else(unterminated)?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'x' => {
                    let mut code = 0;
                    for _ in 0..2 {
                        let digit = characters.next().and_then(|(_, c)| c.to_digit(16));
                        code = code * 16 + digit.ok_or_else(unterminated)?;
                    }
                    out.extend(char::from_u32(code));
                }
                c @ ('"' | '\\' | '\'') => out.push(c),
                c => return Err(Error::Syntax(format!("unknown escape \\{c}"))),
            },
            character => out.push(character),
        }
    }
    Err(unterminated())
}
