//! What fuzzers feed: Dockerfiles, words of them, and ignore files.

use std::collections::HashMap;

use ferry_oci::Platform;

use crate::BuildRequest;
use crate::dockerfile::{Dockerfile, parse_trigger};
use crate::expand::{Expander, Quotes, Unset};
use crate::glob::{Dialect, Glob};
use crate::ignore::Ignore;
use crate::plan::plan;

/// A Dockerfile, parsed and planned; bases other than `scratch` are not at hand.
pub fn dockerfile(data: &[u8]) {
    let file = match Dockerfile::parse("Dockerfile", data) {
        Ok(file) => file,
        Err(error) => return drop(error.to_string()),
    };
    let platform = Platform::host();
    let mut request = BuildRequest::new(platform.clone());
    request.build_args.insert("A".to_owned(), "a$B '\"".to_owned());
    for target in 0..file.stages.len() {
        let platforms = [platform.clone()];
        if let Err(error) = plan(&file, &request, target, &platforms, &HashMap::new()) {
            drop((error.fault.to_string(), error.fault.class()));
        }
    }
}

/// An ONBUILD trigger of a base image.
pub fn trigger(data: &[u8]) {
    if let Err(error) = parse_trigger(&String::from_utf8_lossy(data)) {
        let (name, text) = ("ONBUILD".into(), "".into());
        drop(error.within(&name, &text).to_string());
    }
}

/// A word with variables.
pub fn expand(data: &[u8]) {
    let word = String::from_utf8_lossy(data);
    let lookup = |name: &str| match name {
        "a" => Some("a value/with 'parts'.tar.gz".to_owned()),
        "e" => Some(String::new()),
        "l" => Some("ab".repeat(5_000)),
        _ => None,
    };
    for escape in ['\\', '`'] {
        for quotes in [Quotes::Remove, Quotes::Text, Quotes::Keep] {
            for unset in [Unset::Empty, Unset::Keep] {
                let expander = Expander {
                    escape,
                    quotes,
                    unset,
                    lookup: &lookup,
                };
                match (expander.word(&word), expander.words(&word)) {
                    (Err(error), _) | (_, Err(error)) => drop(error.to_string()),
                    (Ok(_), Ok(_)) => {}
                }
            }
        }
    }
}

/// An ignore file, and the paths that its lines are as well.
pub fn ignore(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let paths = || text.lines().take(20);
    if let Ok(ignore) = Ignore::parse(&text) {
        let sent = Ignore::from_patterns(ignore.patterns()).expect("patterns are sent as they are read");
        for path in paths() {
            assert_eq!(ignore.excludes(path), sent.excludes(path), "{path:?}");
            ignore.may_keep_below(path);
        }
    }
    for pattern in paths() {
        if let Ok(glob) = Glob::parse(pattern, Dialect::Path) {
            for path in paths() {
                glob.matches(path);
                glob.may_match_below(path);
            }
        }
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("dockerfile", dockerfile);
        replay::replay("trigger", trigger);
        replay::replay("expand", expand);
        replay::replay("ignore", ignore);
    }
}
