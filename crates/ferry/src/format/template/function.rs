//! The functions of templates: Go's own, and those that Docker adds.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::Error;
use super::print::{kind_of, text_of, truth};
use crate::format::quote::quote;

/// Longest result of padding (columns); more is a mistake.
const WIDEST: usize = 4096;

const NAMES: &[&str] = &[
    "and", "eq", "ge", "gt", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not", "or", "pad", "print",
    "printf", "println", "slice", "split", "title", "truncate", "upper",
];

/// Whether there is a function of that name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// A field by its name; Go's names differ from JSON's in case only.
pub(super) fn field<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    fields.get(name).or_else(|| {
        fields
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    })
}

/// Calls a function; a piped value is the last argument.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let fail = |reason: String| Error::Function {
        function: name.to_owned(),
        reason,
    };
    let argument = |at: usize| {
        arguments
            .get(at)
            .ok_or_else(|| fail(format!("wants {} arguments, got {}", at + 1, arguments.len())))
    };
    let text = |at: usize| match argument(at)? {
        Value::String(text) => Ok(text.as_str()),
        other => Err(fail(format!("wants a string, got a {}", kind_of(other)))),
    };
    let count = |at: usize| match argument(at)?.as_u64().and_then(|n| usize::try_from(n).ok()) {
        Some(count) => Ok(count),
        None => Err(fail("wants a count".to_owned())),
    };
    Ok(match name {
        // Values of JSON alone: cannot fail.
        "json" => Value::String(serde_json::to_string(argument(0)?).unwrap_or_default()),
        "join" => {
            let separator = text(1)?;
            match argument(0)? {
                Value::Array(items) => Value::String(items.iter().map(text_of).collect::<Vec<_>>().join(separator)),
                Value::Null => Value::String(String::new()),
                other => return Err(fail(format!("wants a list, got a {}", kind_of(other)))),
            }
        }
        "split" => text(0)?.split(text(1)?).map(Value::from).collect(),
        "lower" => text(0)?.to_lowercase().into(),
        "upper" => text(0)?.to_uppercase().into(),
        "title" => title(text(0)?).into(),
        "truncate" => text(0)?.chars().take(count(1)?).collect::<String>().into(),
        "pad" => {
            let (text, before, after) = (text(0)?, count(1)?.min(WIDEST), count(2)?.min(WIDEST));
            match text {
                "" => text.into(),
                text => format!("{}{text}{}", " ".repeat(before), " ".repeat(after)).into(),
            }
        }
        "len" => length(argument(0)?)
            .ok_or_else(|| fail("wants a string, list or map".to_owned()))?
            .into(),
        "index" => index(arguments).map_err(fail)?,
        "slice" => slice(argument(0)?, arguments.get(1..).unwrap_or_default()).map_err(fail)?,
        "print" => print(arguments).into(),
        "println" => {
            let words: Vec<String> = arguments.iter().map(text_of).collect();
            format!("{}\n", words.join(" ")).into()
        }
        "printf" => printf(text(0)?, arguments.get(1..).unwrap_or_default()).into(),
        "not" => (!truth(argument(0)?)).into(),
        // Earlier arguments were looked at when they were evaluated.
        "and" => arguments
            .iter()
            .find(|value| !truth(value))
            .or(arguments.last())
            .cloned()
            .unwrap_or(Value::Null),
        "or" => arguments
            .iter()
            .find(|value| truth(value))
            .or(arguments.last())
            .cloned()
            .unwrap_or(Value::Null),
        "eq" => {
            let first = argument(0)?;
            argument(1)?;
            arguments
                .iter()
                .skip(1)
                .any(|other| compare(first, other) == Some(Ordering::Equal))
                .into()
        }
        "ne" => (compare(argument(0)?, argument(1)?) != Some(Ordering::Equal)).into(),
        "lt" | "le" | "gt" | "ge" => {
            let order = compare(argument(0)?, argument(1)?)
                .ok_or_else(|| fail("values of two kinds cannot be compared".to_owned()))?;
            match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }
            .into()
        }
        _ => return Err(fail("not defined".to_owned())),
    })
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len()),
        Value::Array(items) => Some(items.len()),
        Value::Object(fields) => Some(fields.len()),
        Value::Null => Some(0),
        _ => None,
    }
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let Some((value, keys)) = arguments.split_first() else {
        return Err("wants a list or map".to_owned());
    };
    let mut value = value.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Array(items), Value::Number(at)) => at
                .as_u64()
                .and_then(|at| items.get(usize::try_from(at).ok()?))
                .cloned()
                .ok_or_else(|| format!("index out of range: {at}"))?,
            (Value::Object(fields), Value::String(name)) => fields.get(name).cloned().unwrap_or(Value::Null),
            (Value::Null, _) => Value::Null,
            (value, key) => {
                return Err(format!("cannot index a {} with a {}", kind_of(value), kind_of(key)));
            }
        };
    }
    Ok(value)
}

fn slice(value: &Value, bounds: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, missing: usize| match bounds.get(at) {
        None => Ok(missing),
        Some(bound) => bound
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
            .ok_or_else(|| "wants counts as bounds".to_owned()),
    };
    let out_of_range = || "bounds out of range".to_owned();
    match value {
        Value::String(text) => {
            let part = text.get(bound(0, 0)?..bound(1, text.len())?);
            part.map(Value::from).ok_or_else(out_of_range)
        }
        Value::Array(items) => {
            let part = items.get(bound(0, 0)?..bound(1, items.len())?);
            part.map(Value::from).ok_or_else(out_of_range)
        }
        other => Err(format!("cannot slice a {}", kind_of(other))),
    }
}

/// Go puts a blank between two operands when neither is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in arguments.iter().enumerate() {
        let previous = at.checked_sub(1).and_then(|at| arguments.get(at));
        if previous.is_some_and(|previous| !previous.is_string() && !value.is_string()) {
            out.push(' ');
        }
        out.push_str(&text_of(value));
    }
    out
}

fn title(text: &str) -> String {
    let mut at_start = true;
    text.chars()
        .flat_map(|character| {
            let upper = at_start && character.is_alphabetic();
            at_start = !character.is_alphanumeric();
            if upper {
                character.to_uppercase().collect::<Vec<_>>()
            } else {
                vec![character]
            }
        })
        .collect()
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    }
}

/// The verbs that lists are formatted with: `%s %d %v %q %t %x %f`, with width, `-`, `0` and precision.
fn printf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let end = after
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '0' | '+' | ' ' | '.' | '#')))
            .unwrap_or(after.len());
        let (flags, verb_on) = after.split_at(end);
        let mut characters = verb_on.chars();
        let Some(verb) = characters.next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = characters.as_str();
        if verb == '%' {
            out.push('%');
            continue;
        }
        match arguments.next() {
            None => {
                out.push_str("%!");
                out.push(verb);
                out.push_str("(MISSING)");
            }
            Some(value) => out.push_str(&one(flags, verb, value)),
        }
    }
    out.push_str(rest);
    out
}

fn one(flags: &str, verb: char, value: &Value) -> String {
    let (width, precision) = match flags.split_once('.') {
        Some((width, precision)) => (width, precision.parse::<usize>().ok()),
        None => (flags, None),
    };
    let left = width.contains('-');
    let digits = width.trim_start_matches(['-', '+', ' ', '#']);
    let zero = !left && digits.starts_with('0') && value.is_number();
    let room = digits.parse::<usize>().unwrap_or(0).min(WIDEST);
    let text = match (verb, value) {
        ('q', value) => quote(&text_of(value)),
        ('f', Value::Number(number)) => {
            format!(
                "{:.*}",
                precision.unwrap_or(6).min(64),
                number.as_f64().unwrap_or_default()
            )
        }
        ('x', Value::Number(number)) => format!("{:x}", number.as_i64().unwrap_or_default()),
        ('x', Value::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('s', Value::String(text)) => match precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.clone(),
        },
        (_, value) => text_of(value),
    };
    let missing = room.saturating_sub(text.chars().count());
    if left {
        format!("{text}{}", " ".repeat(missing))
    } else if zero {
        format!("{}{text}", "0".repeat(missing))
    } else {
        format!("{}{text}", " ".repeat(missing))
    }
}
