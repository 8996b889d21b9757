//! Go's text templates, as far as `--format` uses them: fields, pipelines, functions, if, range, with, variables.

mod evaluate;
mod function;
mod lex;
mod parse;
mod print;

use serde_json::Value;

use parse::Node;

/// What a field that does not exist means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The fields are known: a mistake.
    IsAnError,
    /// The value is what an engine sent, which leaves out what is empty.
    IsNothing,
}

/// A template that is wrong, or cannot be applied to a value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    /// The text is no template.
    #[error("template parsing error: {0}")]
    Syntax(String),
    /// A field that is not there.
    #[error("template error: no field {field:?}; there are {known}")]
    NoField {
        /// As written.
        field: String,
        /// Those that exist.
        known: String,
    },
    /// A function got what it cannot use.
    #[error("template error: {function}: {reason}")]
    Function {
        /// Its name.
        function: String,
        /// What is wrong.
        reason: String,
    },
    /// Something was done to a value of the wrong kind.
    #[error("template error: {0}")]
    Kind(String),
}

/// A template that was read.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self {
            nodes: parse::parse(text)?,
        })
    }

    /// Applies it to a value.
    pub(crate) fn render(&self, value: &Value, missing: Missing) -> Result<String, Error> {
        evaluate::run(&self.nodes, value, missing)
    }

    /// The fields of the value that it prints, in order, for the head of a table: `{{.Name}}\t{{.Image}}` gives `Name`, `Image`.
    pub(crate) fn heads(&self, head_of: &dyn Fn(&str) -> Option<String>) -> String {
        parse::heads(&self.nodes, head_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str) -> Result<String, Error> {
        let value = json!({
            "Name": "web", "Id": "abc", "N": 3, "Ok": true, "Size": 1.5, "Nil": null,
            "List": ["a", "b"], "Map": {"k": "v", "x": 1}, "Empty": [], "Deep": {"A": {"B": "c"}}
        });
        Template::parse(template)?.render(&value, Missing::IsNothing)
    }

    #[test]
    fn templates_give_what_go_gives() {
        for (template, text) in [
            ("{{.Name}}", "web"),
            ("{{ .ID }}-{{.N}}", "abc-3"),
            ("{{.Deep.A.B}} {{.Nothing}} {{.Nil}}", "c <no value> <no value>"),
            ("{{.List}} {{.Map}} {{.Ok}} {{.Size}}", "[a b] map[k:v x:1] true 1.5"),
            ("{{json .Map}} {{json .Name}}", r#"{"k":"v","x":1} "web""#),
            ("{{.Name | upper | printf \"%s!\"}}", "WEB!"),
            (
                "{{join .List \",\"}} {{len .List}} {{index .List 1}} {{index .Map \"k\"}}",
                "a,b 2 b v",
            ),
            ("{{range .List}}<{{.}}>{{end}}", "<a><b>"),
            ("{{range $i, $e := .List}}{{$i}}={{$e}} {{end}}", "0=a 1=b "),
            ("{{range $k, $v := .Map}}{{$k}}:{{$v}};{{end}}", "k:v;x:1;"),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            (
                "{{if .Ok}}y{{else}}n{{end}}{{if not .Ok}}y{{else if eq .N 3}}three{{end}}",
                "ythree",
            ),
            ("{{with .Deep}}{{.A.B}}{{$.Name}}{{end}}{{with .Nil}}x{{end}}", "cweb"),
            ("{{$x := .Name}}{{$x}}{{$x = .ID}}{{$x}}", "webabc"),
            ("a {{- .Name -}} b{{/* no */}}", "awebb"),
            (
                "{{printf \"%-5s|%03d|%q|%.1f|%%|%v\" .Name .N .Name .Size .List}}",
                "web  |003|\"web\"|1.5|%|[a b]",
            ),
            ("{{println .Name}}{{print 1 2 \"x\"}}", "web\n1 2x"),
            (
                "{{and .Ok .Name}} {{or .Nil .Name}} {{eq .Name \"a\" \"web\"}} {{lt .N 4}} {{ge .N 4}}",
                "web web true true false",
            ),
            (
                "{{split \"a:b\" \":\"}} {{title \"abc\"}} {{truncate .Name 2}} {{pad .Name 1 2}}|",
                "[a b] Abc we  web  |",
            ),
            ("{{(index .Map \"x\")}}{{(.Deep).A.B}}", "1c"),
            ("{{`raw \"x\"`}}{{\"tab\\t\"}}{{true}}", "raw \"x\"tab\ttrue"),
            ("{{slice .Name 1 2}} {{.Name | len}}", "e 3"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (template, part) in [
            ("{{.Name", "unclosed action"),
            ("{{end}}", "unexpected {{end}}"),
            ("{{if .Ok}}", "unexpected end of the template"),
            ("{{nosuch .}}", "function \"nosuch\" not defined"),
            ("{{index .List 7}}", "out of range"),
            ("{{.Name.First}}", "cannot take the field First of a string"),
            ("{{$y}}", "undefined variable: $y"),
            ("{{\"x}}", "unterminated"),
            ("{{}}", "missing value"),
        ] {
            let error = render(template).expect_err(template).to_string();
            assert!(error.contains(part), "{template}: {error}");
        }
        let strict = Template::parse("{{.Nme}}").expect("a template");
        let error = strict
            .render(&json!({"Name": 1, "ID": 2}), Missing::IsAnError)
            .expect_err("no such field");
        assert_eq!(
            error.to_string(),
            "template error: no field \"Nme\"; there are .ID .Name"
        );
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_ends() {
        let deep = format!("{{{{{}.{}}}}}", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(Template::parse(&deep), Err(Error::Syntax(_))));
        let ifs = "{{if .}}".repeat(5000);
        assert!(matches!(Template::parse(&ifs), Err(Error::Syntax(_))));
    }
}
