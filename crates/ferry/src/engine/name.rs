//! Names of containers and images inside the path of a request.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What would end or alter the path: everything but the characters of names, with `/`, `:` and `@` as Docker's routes expect them.
const NOT_IN_NAMES: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// `name` so that it can stand in a path. Dots that would climb are escaped too: `..` names nothing.
pub(crate) fn in_path(name: &str) -> String {
    name.split('/')
        .map(|part| match part {
            "." => "%2E".to_owned(),
            ".." => "%2E%2E".to_owned(),
            part => utf8_percent_encode(part, NOT_IN_NAMES).to_string(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_everything_else_is_escaped() {
        for (name, path) in [
            ("web", "web"),
            ("localhost:5000/a/b:1@sha256:00", "localhost:5000/a/b:1@sha256:00"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("../x", "%2E%2E/x"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(in_path(name), path);
        }
    }
}
