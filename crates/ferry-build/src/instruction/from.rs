//! FROM: begins a stage on an image, on another stage, or on nothing.

use super::{Parsed, Syntax, Trigger};
use crate::dockerfile::{Arguments, Fault, FlagSpec};

pub(super) const SYNTAX: Syntax = Syntax {
    name: "FROM",
    usage: "FROM [--platform=<platform>] <image> [AS <name>]",
    flags: &[FlagSpec::value("platform")],
    trigger: Trigger::Forbidden,
    parse,
};

/// The beginning of a stage, as it is written: variables are still in it.
#[derive(Debug)]
pub(crate) struct From {
    /// `--platform`.
    pub(crate) platform: Option<String>,
    /// An image, a stage, or `scratch`.
    pub(crate) base: String,
    /// `AS name`, in lower case.
    pub(crate) name: Option<String>,
}

fn parse(arguments: &Arguments<'_>) -> Result<Parsed, Fault> {
    let (base, name) = match arguments.words().as_slice() {
        [base] => (*base, None),
        [base, keyword, name] if keyword.eq_ignore_ascii_case("as") => (*base, Some(stage_name(name)?)),
        [_, keyword, _] => {
            let from = (*keyword).to_owned();
            return Err(Fault::NotAs { from });
        }
        _ => return Err(arguments.count("either one or three arguments")),
    };
    Ok(Parsed::From(From {
        platform: arguments.flags.value("platform").map(str::to_owned),
        base: base.to_owned(),
        name,
    }))
}

fn stage_name(written: &str) -> Result<String, Fault> {
    let name = written.to_lowercase();
    let is_valid = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
    if !is_valid || name == "scratch" || name == "context" {
        let name = written.to_owned();
        return Err(Fault::BadStageName { name });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::Dockerfile;

    fn check(text: &str, expect: Result<(&str, Option<&str>, Option<&str>), &str>) {
        let parsed = Dockerfile::parse("Dockerfile", text.as_bytes());
        let got = match &parsed {
            Ok(file) => {
                let from = &file.stages[0].from.value;
                Ok((from.base.as_str(), from.platform.as_deref(), from.name.as_deref()))
            }
            Err(error) => Err(error.fault.to_string()),
        };
        assert_eq!(got, expect.map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn forms() {
        check("FROM busybox", Ok(("busybox", None, None)));
        check("from busybox:1 as Build", Ok(("busybox:1", None, Some("build"))));
        check(
            "FROM --platform=$BUILDPLATFORM ${BASE:-x} AS a.b-c_1",
            Ok(("${BASE:-x}", Some("$BUILDPLATFORM"), Some("a.b-c_1"))),
        );
    }

    #[test]
    fn faults() {
        check("FROM", Err("FROM requires either one or three arguments"));
        check("FROM a b", Err("FROM requires either one or three arguments"));
        check("FROM a is b", Err("is stands where AS was expected"));
        check("FROM a AS 1b", Err("invalid name for build stage: \"1b\""));
        check(
            "FROM --platfrom=x a",
            Err("unknown flag: --platfrom (did you mean --platform?)"),
        );
        check("FROM --platform a", Err("missing a value on flag: --platform"));
        check(
            "FROM --platform=a --platform=b c",
            Err("duplicate flag specified: --platform"),
        );
    }
}
