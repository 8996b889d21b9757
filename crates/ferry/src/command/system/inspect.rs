//! `ferry inspect`: all that the engine knows of containers, images, networks and volumes, as it says it.

use bytes::Bytes;
use clap::Args;
use http::StatusCode;
use serde_json::Value;

use crate::command::Verb;
use crate::engine::{Engine, in_path};
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::json::indent;
use crate::format::list::unescape;
use crate::format::template::{Missing, Template};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry inspect`.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show sizes of containers
    #[arg(short, long)]
    size: bool,
    /// Kind of object
    #[arg(long, value_name = "KIND", value_parser = ["container", "image", "network", "volume"])]
    r#type: Option<String>,
    /// Names or IDs
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// Kinds in the order in which a name is looked up, with what precedes and follows it in the path.
const KINDS: &[(&str, &str, &str)] = &[
    ("container", "/containers/", "/json"),
    ("image", "/images/", "/json"),
    ("network", "/networks/", ""),
    ("volume", "/volumes/", ""),
];

/// What the engine said of one object.
pub(crate) struct Found(Bytes);

impl Found {
    /// The engine's JSON.
    pub(crate) fn new(json: Bytes) -> Self {
        Self(json)
    }
}

impl Verb for Inspect {
    const ABOUT: &'static str = "Show all that is known of containers and images";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let mut found = Vec::new();
        for name in &self.names {
            found.push(self.find(engine, name).await);
        }
        show(found, self.format.as_deref())
    }
}

impl Inspect {
    async fn find(&self, engine: &Engine, name: &str) -> Result<Found, Failure> {
        for (kind, before, after) in KINDS {
            if self.r#type.as_deref().is_some_and(|wanted| wanted != *kind) {
                continue;
            }
            let answer = engine
                .get(format!("{before}{}{after}", in_path(name)))
                .query_if("size", self.size && *kind == "container")
                .bytes()
                .await;
            match answer {
                Ok(json) => return Ok(Found::new(json)),
                // Asked for one kind, its own words say it best.
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) && self.r#type.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::new(format!("no such object: {name}")))
    }
}

/// Prints what was found, then what was not: as JSON in one list, or by the template one a line.
pub(crate) fn show(found: Vec<Result<Found, Failure>>, format: Option<&str>) -> Outcome {
    let template = match format {
        None | Some("" | "json") => None,
        Some(text) => Some(Template::parse(&unescape(text)).explain(|| format!("cannot use the format {text:?}"))?),
    };
    let mut texts = Vec::new();
    let mut failures = Vec::new();
    for one in found {
        match one.and_then(|one| text_of(&one, template.as_ref())) {
            Ok(text) => texts.push(text),
            Err(failure) => failures.push(failure),
        }
    }
    let out = match (&template, format) {
        (Some(_), _) => texts.iter().map(|text| format!("{text}\n")).collect(),
        (None, Some("json")) => format!("[{}]\n", texts.join(",")),
        (None, _) => format!("{}\n", indent(&format!("[{}]", texts.join(",")))),
    };
    terminal::print(&out).explain(|| "cannot write the result")?;
    if failures.is_empty() {
        return Ok(ExitStatus::SUCCESS);
    }
    for failure in failures {
        failure.report();
    }
    Err(Failure::reported())
}

/// The engine's own text, or the template applied to it.
fn text_of(found: &Found, template: Option<&Template>) -> Result<String, Failure> {
    let misread = || "cannot understand the engine's answer";
    match template {
        None => {
            serde_json::from_slice::<serde::de::IgnoredAny>(&found.0).explain(misread)?;
            Ok(String::from_utf8_lossy(&found.0).trim().to_owned())
        }
        Some(template) => {
            let value: Value = serde_json::from_slice(&found.0).explain(misread)?;
            template.render(&value, Missing::IsNothing).explain(|| "cannot show it")
        }
    }
}
