//! Environment variables from `-e` and from files, as Docker reads both.

use std::path::{Path, PathBuf};

use crate::failure::{Explain, Failure};

/// Variables of the files, then of the flags, as the API takes them: `NAME=value`, or `NAME` to unset.
pub(crate) fn read_environment(files: &[PathBuf], flags: &[String]) -> Result<Vec<String>, Failure> {
    let mut variables = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).explain(|| format!("cannot read the environment file {}", file.display()))?;
        variables.extend(parse_file(file, &bytes, lookup)?);
    }
    for flag in flags {
        variables.push(from_flag(flag, lookup)?);
    }
    Ok(variables)
}

/// Adds variables that none of `variables` sets.
pub(super) fn set_variables(variables: &mut Vec<String>, defaults: Vec<(String, String)>) {
    for (name, value) in defaults {
        if !variables.iter().any(|known| name_of(known) == name) {
            variables.push(format!("{name}={value}"));
        }
    }
}

fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or(variable)
}

fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn from_flag(flag: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, Failure> {
    if flag.is_empty() || flag.starts_with('=') {
        return Err(Failure::new(format!("invalid environment variable: {flag:?}")));
    }
    if flag.contains('=') {
        return Ok(flag.to_owned());
    }
    // A name alone takes the value that it has here; where it has none it is taken from the image's.
    Ok(match lookup(flag) {
        Some(value) => format!("{flag}={value}"),
        None => flag.to_owned(),
    })
}

fn parse_file(path: &Path, bytes: &[u8], lookup: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, Failure> {
    let invalid = |line: usize, why: &str| {
        Failure::new(format!(
            "invalid environment file {}: line {line}: {why}",
            path.display()
        ))
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut variables = Vec::new();
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| invalid(at + 1, "not UTF-8"))?;
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = name_of(line);
        if name.is_empty() {
            return Err(invalid(at + 1, "no variable name before ="));
        }
        if name.contains(char::is_whitespace) {
            return Err(invalid(at + 1, &format!("the variable {name:?} contains a blank")));
        }
        if line.contains('=') {
            variables.push(line.to_owned());
        } else if let Some(value) = lookup(name) {
            variables.push(format!("{name}={value}"));
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(name: &str) -> Option<String> {
        (name == "HERE").then(|| "set".to_owned())
    }

    #[test]
    fn files_are_read_as_docker_reads_them() {
        let read = |text: &[u8]| parse_file(Path::new("f"), text, here);
        let variables = read(b"\xef\xbb\xbf# note\n\nA=1\r\n  B=x y # z\nHERE\nGONE\nC=\n").expect("a file");
        assert_eq!(variables, ["A=1", "B=x y # z", "HERE=set", "C="]);
        for (text, part) in [
            (&b"A B=1"[..], "line 1: the variable \"A B\" contains a blank"),
            (b"X=1\n=2", "line 2: no variable name"),
            (b"\xff", "not UTF-8"),
        ] {
            let error = read(text).expect_err("no file").to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_flag_without_a_value_takes_it_from_here() {
        for (flag, variable) in [
            ("A=1", Some("A=1")),
            ("HERE", Some("HERE=set")),
            ("GONE", Some("GONE")),
            ("=x", None),
        ] {
            assert_eq!(from_flag(flag, here).ok().as_deref(), variable);
        }
    }
}
