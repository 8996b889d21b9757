//! The grammar of templates: actions into a tree.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

use super::Error;
use super::function;
use super::lex::{Piece, Spacing, Token, pieces};

/// Actions and parentheses within one another; more is a mistake, and would end the stack.
const DEEPEST: usize = 100;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    /// `if … else if … else …`: the first whose condition holds.
    If {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    /// `with … else …`: the same, and the value becomes the dot.
    With {
        arms: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        /// Names for index and value, or for the value.
        names: Vec<String>,
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// Calls, each given the result of the one before it; and the variable that takes the result.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) target: Option<Target>,
    pub(super) calls: Vec<Vec<Operand>>,
}

/// A variable that a pipeline sets.
#[derive(Debug)]
pub(super) enum Target {
    Declare(String),
    Assign(String),
}

/// What a call is made of.
#[derive(Debug)]
pub(super) enum Operand {
    Dot,
    Nil,
    Literal(Value),
    Function(String),
    /// Fields of the dot.
    Fields(Vec<String>),
    /// Fields of a variable; the empty name is the whole value.
    Variable(String, Vec<String>),
    /// Fields of a pipeline's result.
    Group(Box<Pipeline>, Vec<String>),
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let mut pieces = pieces(text)?.into_iter().peekable();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        Closing::Template => Ok(nodes),
        Closing::End => Err(syntax("unexpected {{end}}")),
        Closing::Else(_) => Err(syntax("unexpected {{else}}")),
    }
}

/// The template's text with each printed field replaced by its head, as the first line of a table.
pub(super) fn heads(nodes: &[Node], head_of: &dyn Fn(&str) -> Option<String>) -> String {
    nodes
        .iter()
        .map(|node| match node {
            Node::Text(text) => text.clone(),
            Node::Print(pipeline) => first_field(pipeline).map_or_else(String::new, |field| {
                head_of(field).unwrap_or_else(|| field.to_uppercase())
            }),
            _ => String::new(),
        })
        .collect()
}

fn first_field(pipeline: &Pipeline) -> Option<&str> {
    pipeline.calls.iter().flatten().find_map(|operand| match operand {
        Operand::Fields(fields) => fields.last().map(String::as_str),
        Operand::Group(inner, _) => first_field(inner),
        _ => None,
    })
}

type Pieces = Peekable<IntoIter<Piece>>;
type Tokens = Peekable<IntoIter<Token>>;

/// What closed a block.
enum Closing {
    Template,
    End,
    /// With the tokens after `else`: none, or `if …`.
    Else(Tokens),
}

fn block(pieces: &mut Pieces, depth: usize) -> Result<(Vec<Node>, Closing), Error> {
    if depth > DEEPEST {
        return Err(syntax("too many actions within one another"));
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let mut tokens = tokens.into_iter().peekable();
        let keyword = match tokens.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let is_keyword = matches!(
            keyword.as_str(),
            "if" | "with" | "range" | "else" | "end" | "break" | "continue"
        );
        if is_keyword {
            tokens.next();
        }
        match keyword.as_str() {
            "if" => {
                let (arms, otherwise) = arms(tokens, pieces, "if", depth)?;
                nodes.push(Node::If { arms, otherwise });
            }
            "with" => {
                let (arms, otherwise) = arms(tokens, pieces, "with", depth)?;
                nodes.push(Node::With { arms, otherwise });
            }
            "range" => nodes.push(range(tokens, pieces, depth)?),
            "else" => return Ok((nodes, Closing::Else(tokens))),
            "end" => return Ok((nodes, Closing::End)),
            "break" => nodes.push(Node::Break),
            "continue" => nodes.push(Node::Continue),
            _ => {
                let pipeline = pipeline(&mut tokens, depth)?;
                finished(tokens)?;
                nodes.push(Node::Print(pipeline));
            }
        }
    }
    Ok((nodes, Closing::Template))
}

type Arms = (Vec<(Pipeline, Vec<Node>)>, Vec<Node>);

fn arms(mut tokens: Tokens, pieces: &mut Pieces, keyword: &str, depth: usize) -> Result<Arms, Error> {
    let mut arms = Vec::new();
    loop {
        let condition = pipeline(&mut tokens, depth)?;
        finished(tokens)?;
        let (body, end) = block(pieces, depth + 1)?;
        arms.push((condition, body));
        match end {
            Closing::End => return Ok((arms, Vec::new())),
            Closing::Else(mut rest) => match rest.next() {
                None => return Ok((arms, last(pieces, depth)?)),
                Some(Token::Word(word)) if word == keyword => tokens = rest,
                Some(_) => return Err(syntax("unexpected words after else")),
            },
            Closing::Template => return Err(unfinished()),
        }
    }
}

/// The block after `else`, up to `end`.
fn last(pieces: &mut Pieces, depth: usize) -> Result<Vec<Node>, Error> {
    match block(pieces, depth + 1)? {
        (nodes, Closing::End) => Ok(nodes),
        (_, Closing::Else(_)) => Err(syntax("unexpected {{else}}")),
        (_, Closing::Template) => Err(unfinished()),
    }
}

fn range(mut tokens: Tokens, pieces: &mut Pieces, depth: usize) -> Result<Node, Error> {
    let mut names = Vec::new();
    if let Some(Token::Variable(_)) = tokens.peek() {
        let mut ahead = tokens.clone();
        let mut found = Vec::new();
        while let Some(Token::Variable(name)) = ahead.next() {
            found.push(name);
            match ahead.next() {
                Some(Token::Comma) if found.len() < 2 => {}
                Some(Token::Declare | Token::Assign) => {
                    names = found;
                    tokens = ahead;
                    break;
                }
                _ => break,
            }
        }
    }
    let over = pipeline(&mut tokens, depth)?;
    finished(tokens)?;
    let (body, end) = block(pieces, depth + 1)?;
    let otherwise = match end {
        Closing::End => Vec::new(),
        Closing::Else(rest) => {
            finished(rest)?;
            last(pieces, depth)?
        }
        Closing::Template => return Err(unfinished()),
    };
    Ok(Node::Range {
        names,
        over,
        body,
        otherwise,
    })
}

fn pipeline(tokens: &mut Tokens, depth: usize) -> Result<Pipeline, Error> {
    if depth > DEEPEST {
        return Err(syntax("too many parentheses within one another"));
    }
    let mut target = None;
    if let Some(Token::Variable(name)) = tokens.peek() {
        let name = name.clone();
        let mut ahead = tokens.clone();
        ahead.next();
        match ahead.next() {
            Some(Token::Declare) => target = Some(Target::Declare(name)),
            Some(Token::Assign) => target = Some(Target::Assign(name)),
            _ => {}
        }
        if target.is_some() {
            *tokens = ahead;
        }
    }
    let mut calls = Vec::new();
    loop {
        let call = call(tokens, depth)?;
        if call.is_empty() {
            return Err(syntax("missing value for command"));
        }
        calls.push(call);
        if !matches!(tokens.peek(), Some(Token::Pipe)) {
            return Ok(Pipeline { target, calls });
        }
        tokens.next();
    }
}

fn call(tokens: &mut Tokens, depth: usize) -> Result<Vec<Operand>, Error> {
    let mut operands = Vec::new();
    loop {
        let operand = match tokens.peek() {
            None | Some(Token::Pipe | Token::Close) => return Ok(operands),
            Some(Token::Comma | Token::Declare | Token::Assign) => {
                return Err(syntax("unexpected punctuation in command"));
            }
            Some(_) => operand(tokens, depth)?,
        };
        operands.push(operand);
    }
}

fn operand(tokens: &mut Tokens, depth: usize) -> Result<Operand, Error> {
    match tokens.next() {
        Some(Token::Dot) => Ok(Operand::Dot),
        Some(Token::Field(name, _)) => {
            let mut fields = vec![name];
            fields.extend(joined(tokens));
            Ok(Operand::Fields(fields))
        }
        Some(Token::Variable(name)) => Ok(Operand::Variable(name, joined(tokens).collect())),
        Some(Token::Text(text)) => Ok(Operand::Literal(Value::String(text))),
        Some(Token::Number(number)) => Ok(Operand::Literal(Value::Number(number))),
        Some(Token::Word(word)) => match word.as_str() {
            "true" => Ok(Operand::Literal(Value::Bool(true))),
            "false" => Ok(Operand::Literal(Value::Bool(false))),
            "nil" => Ok(Operand::Nil),
            name if function::exists(name) => Ok(Operand::Function(word)),
            name => Err(Error::Syntax(format!("function {name:?} not defined"))),
        },
        Some(Token::Open) => {
            let inner = pipeline(tokens, depth + 1)?;
            match tokens.next() {
                Some(Token::Close) => Ok(Operand::Group(Box::new(inner), joined(tokens).collect())),
                _ => Err(syntax("unclosed left paren")),
            }
        }
        _ => Err(syntax("missing value for command")),
    }
}

/// Fields that follow without a blank: `.A.B`.
fn joined(tokens: &mut Tokens) -> impl Iterator<Item = String> + '_ {
    std::iter::from_fn(|| match tokens.peek() {
        Some(Token::Field(_, Spacing::Joined)) => match tokens.next() {
            Some(Token::Field(name, _)) => Some(name),
            _ => None,
        },
        _ => None,
    })
}

fn finished(mut tokens: Tokens) -> Result<(), Error> {
    match tokens.next() {
        None => Ok(()),
        Some(Token::Close) => Err(syntax("unexpected right paren")),
        Some(_) => Err(syntax("unexpected words at the end of a command")),
    }
}

fn unfinished() -> Error {
    syntax("unexpected end of the template: {{end}} is missing")
}

fn syntax(text: &str) -> Error {
    Error::Syntax(text.to_owned())
}
