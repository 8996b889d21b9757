//! Reads `WWW-Authenticate`: which proof a registry wants.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Challenges read from one answer; more are ignored.
const MAX_CHALLENGES: usize = 8;
/// Parameters read from one challenge; more are ignored.
const MAX_PARAMETERS: usize = 32;

/// One challenge. Source: RFC 9110 section 11.6.1; distribution's `spec/auth/token.md` for Bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from a token server.
    Bearer(Bearer),
    /// Anything else, by name.
    Other(String),
}

/// Where to get a token, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bearer {
    /// URL of the token server.
    pub(crate) realm: String,
    /// Name of the registry at the token server.
    pub(crate) service: Option<String>,
    /// The scope that the refused request needs, separated by spaces.
    pub(crate) scope: Option<String>,
}

/// The challenge to answer: Bearer before Basic before what is unknown.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Challenge> {
    let mut challenges: Vec<Challenge> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .take(MAX_CHALLENGES)
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect();
    challenges.sort_by_key(|challenge| match challenge {
        Challenge::Bearer(_) => 0,
        Challenge::Basic => 1,
        Challenge::Other(_) => 2,
    });
    challenges.into_iter().next()
}

/// The challenges of one header line.
fn parse(line: &str) -> Vec<Challenge> {
    let mut rest = line;
    let mut found = Vec::new();
    while found.len() < MAX_CHALLENGES {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let scheme = take_token(&mut rest);
        if scheme.is_empty() {
            break;
        }
        let parameters = take_parameters(&mut rest);
        let value = |name: &str| {
            let is_named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
            parameters.iter().find(is_named).map(|(_, value)| value.clone())
        };
        found.push(if scheme.eq_ignore_ascii_case("basic") {
            Challenge::Basic
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Challenge::Bearer(Bearer {
                realm: value("realm").unwrap_or_default(),
                service: value("service").filter(|service| !service.is_empty()),
                scope: value("scope").filter(|scope| !scope.is_empty()),
            })
        } else {
            Challenge::Other(scheme.to_owned())
        });
    }
    found
}

/// `name=value` pairs up to the next scheme.
fn take_parameters(rest: &mut &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    while parameters.len() < MAX_PARAMETERS {
        let mut ahead = rest.trim_start_matches([' ', '\t', ',']);
        let name = take_token(&mut ahead);
        ahead = ahead.trim_start_matches([' ', '\t']);
        let Some(after_equals) = ahead.strip_prefix('=') else {
            // A scheme, not a parameter (or a token68, which neither Basic nor Bearer use here).
            break;
        };
        if name.is_empty() {
            break;
        }
        ahead = after_equals.trim_start_matches([' ', '\t']);
        let value = match ahead.strip_prefix('"') {
            Some(quoted) => take_quoted(&mut ahead, quoted),
            None => take_token(&mut ahead).to_owned(),
        };
        parameters.push((name.to_owned(), value));
        *rest = ahead;
    }
    parameters
}

/// A token as in RFC 9110, and the few characters beyond it that registries leave unquoted.
fn take_token<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)))
        .unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    token
}

/// The text up to the closing quote, which may be missing.
fn take_quoted<'a>(rest: &mut &'a str, quoted: &'a str) -> String {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                *rest = &quoted[at + 1..];
                return value;
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            character => value.push(character),
        }
    }
    *rest = "";
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        })
    }

    #[test]
    fn challenges_of_real_registries_are_read() {
        let check = |line: &str, expected: &[Challenge]| assert_eq!(parse(line), expected, "{line}");
        check(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/busybox:pull",error="invalid_token""#,
            &[bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:library/busybox:pull"),
            )],
        );
        check(r#"Basic realm="Registry Realm""#, &[Challenge::Basic]);
        check("BASIC", &[Challenge::Basic]);
        check(
            r#"bearer Realm = "https://r/t" , scope="a:b:pull,push c:d:pull""#,
            &[bearer("https://r/t", None, Some("a:b:pull,push c:d:pull"))],
        );
        check(
            r"Bearer realm=https://r/t,service=s",
            &[bearer("https://r/t", Some("s"), None)],
        );
        check(
            r#"Negotiate, Basic realm="a, Bearer b", Bearer realm="https://r/t""#,
            &[
                Challenge::Other("Negotiate".into()),
                Challenge::Basic,
                bearer("https://r/t", None, None),
            ],
        );
        check(
            r#"Bearer realm="https://r/\"t""#,
            &[bearer("https://r/\"t", None, None)],
        );
    }

    #[test]
    fn odd_lines_end_quietly() {
        for line in [
            "",
            ",,,",
            "=",
            "Bearer realm=\"",
            "Bearer =x",
            "\"",
            "Bearer realm=\"a\\",
            "é",
        ] {
            let _ = parse(line);
        }
        assert_eq!(parse(&"Basic ".repeat(1000)).len(), MAX_CHALLENGES);
    }

    #[test]
    fn bearer_is_preferred_to_basic() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"https://r\"".parse().unwrap());
        assert!(matches!(preferred(&headers), Some(Challenge::Bearer(_))));
        assert_eq!(preferred(&HeaderMap::new()), None);
    }
}
