//! Applies a template's tree to a value.

use std::borrow::Cow;

use serde_json::Value;

use super::function;
use super::parse::{Node, Operand, Pipeline, Target};
use super::print::{kind_of, text_of, truth};
use super::{Error, Missing};

/// Applies `nodes` to `value`.
pub(super) fn run(nodes: &[Node], value: &Value, missing: Missing) -> Result<String, Error> {
    let mut run = Run {
        variables: vec![(String::new(), value.clone())],
        missing,
        out: String::new(),
    };
    run.nodes(nodes, value)?;
    Ok(run.out)
}

/// How a block ended.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run {
    /// Innermost last; the nameless one is the whole value.
    variables: Vec<(String, Value)>,
    missing: Missing,
    out: String,
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Error> {
        let scope = self.variables.len();
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                self.variables.truncate(scope);
                return Ok(flow);
            }
        }
        self.variables.truncate(scope);
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.target.is_none() {
                    self.out.push_str(&text_of(&value));
                }
            }
            Node::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if truth(&self.pipeline(condition, dot)?) {
                        return self.nodes(body, dot);
                    }
                }
                return self.nodes(otherwise, dot);
            }
            Node::With { arms, otherwise } => {
                for (condition, body) in arms {
                    let value = self.pipeline(condition, dot)?;
                    if truth(&value) {
                        return self.nodes(body, &value);
                    }
                }
                return self.nodes(otherwise, dot);
            }
            Node::Range {
                names,
                over,
                body,
                otherwise,
            } => return self.range(names, over, body, otherwise, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        names: &[String],
        over: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, Error> {
        let items: Vec<(Value, Value)> = match self.pipeline(over, dot)? {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(at, item)| (Value::from(at), item))
                .collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(key, item)| (Value::String(key), item))
                .collect(),
            Value::Null => Vec::new(),
            Value::Number(count) => (0..count.as_u64().unwrap_or(0).min(1 << 20))
                .map(|at| (Value::from(at), Value::from(at)))
                .collect(),
            other => {
                return Err(Error::Kind(format!("range cannot go over a {}", kind_of(&other))));
            }
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, item) in items {
            let scope = self.variables.len();
            match names {
                [index, value] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((value.clone(), item.clone()));
                }
                [value] => self.variables.push((value.clone(), item.clone())),
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Error> {
        let mut result = None;
        for call in &pipeline.calls {
            result = Some(self.call(call, result, dot)?);
        }
        let value = result.unwrap_or(Value::Null);
        match &pipeline.target {
            None => {}
            Some(Target::Declare(name)) => self.variables.push((name.clone(), value.clone())),
            Some(Target::Assign(name)) => {
                let slot = self.variables.iter_mut().rev().find(|(known, _)| known == name);
                match slot {
                    Some((_, slot)) => *slot = value.clone(),
                    None => return Err(undefined(name)),
                }
            }
        }
        Ok(value)
    }

    fn call(&mut self, call: &[Operand], piped: Option<Value>, dot: &Value) -> Result<Value, Error> {
        let Some((first, rest)) = call.split_first() else {
            return Ok(Value::Null);
        };
        if let Operand::Function(name) = first {
            let mut arguments = Vec::with_capacity(rest.len() + 1);
            for operand in rest {
                let value = self.operand(operand, dot)?;
                // Like Go's, `and` and `or` look no further than they must.
                let decides = match name.as_str() {
                    "and" => !truth(&value),
                    "or" => truth(&value),
                    _ => false,
                };
                if decides {
                    return Ok(value);
                }
                arguments.push(value);
            }
            arguments.extend(piped);
            return function::call(name, &arguments);
        }
        if !rest.is_empty() || piped.is_some() {
            return Err(Error::Kind(
                "a value that is no function was given arguments".to_owned(),
            ));
        }
        self.operand(first, dot)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Error> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Nil => Ok(Value::Null),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Function(name) => function::call(name, &[]),
            Operand::Fields(fields) => self.fields(dot, fields),
            Operand::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map(|(_, value)| value.clone()).ok_or_else(|| undefined(name))?;
                self.fields(&value, fields)
            }
            Operand::Group(pipeline, fields) => {
                let value = self.pipeline(pipeline, dot)?;
                self.fields(&value, fields)
            }
        }
    }

    fn fields(&self, value: &Value, names: &[String]) -> Result<Value, Error> {
        let mut value = Cow::Borrowed(value);
        for name in names {
            let found = match value.as_ref() {
                Value::Object(fields) => match function::field(fields, name) {
                    Some(found) => found.clone(),
                    None if self.missing == Missing::IsAnError => {
                        let known: Vec<String> = fields.keys().map(|key| format!(".{key}")).collect();
                        return Err(Error::NoField {
                            field: name.clone(),
                            known: known.join(" "),
                        });
                    }
                    None => Value::Null,
                },
                Value::Null => Value::Null,
                other => {
                    return Err(Error::Kind(format!(
                        "cannot take the field {name} of a {}",
                        kind_of(other)
                    )));
                }
            };
            value = Cow::Owned(found);
        }
        Ok(value.into_owned())
    }
}

fn undefined(name: &str) -> Error {
    Error::Kind(format!("undefined variable: ${name}"))
}
