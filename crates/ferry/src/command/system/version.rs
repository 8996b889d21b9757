//! `ferry version`: the versions of this client and of the engine.

use bollard_stubs::models::SystemVersion;
use clap::Args;
use serde_json::{Value, json};

use crate::command::Verb;
use crate::engine;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::list::unescape;
use crate::format::template::{Missing, Template};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry version`.
#[derive(Debug, Args)]
pub(crate) struct Version {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for Version {
    const ABOUT: &'static str = "Show the versions of client and engine";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        // Without an engine the client's half is still worth showing.
        let asked = engine.get("/version").json::<SystemVersion>().await;
        let (server, failure) = match asked {
            Ok(server) => (Some(server), None),
            Err(error) => (None, Some(Failure::from(error))),
        };
        let text = match self.format.as_deref() {
            None | Some("") => for_people(server.as_ref()),
            Some("json") => format!("{}\n", value(server.as_ref())),
            Some(text) => {
                let template =
                    Template::parse(&unescape(text)).explain(|| format!("cannot use the format {text:?}"))?;
                let shown = template.render(&value(server.as_ref()), Missing::IsNothing);
                format!("{}\n", shown.explain(|| "cannot show the version")?)
            }
        };
        terminal::print(&text).explain(|| "cannot write the version")?;
        failure.map_or(Ok(ExitStatus::SUCCESS), Err)
    }
}

fn client() -> Value {
    json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "ApiVersion": engine::newest_api(),
        "DefaultAPIVersion": engine::newest_api(),
        "Os": std::env::consts::OS,
        "Arch": ferry_oci::Platform::host().architecture,
    })
}

fn value(server: Option<&SystemVersion>) -> Value {
    json!({ "Client": client(), "Server": server })
}

fn for_people(server: Option<&SystemVersion>) -> String {
    let host = ferry_oci::Platform::host();
    let mut text = format!(
        "Client: Ferry\n {:<18}{}\n {:<18}{}\n {:<18}{}\n",
        "Version:",
        env!("CARGO_PKG_VERSION"),
        "API version:",
        engine::newest_api(),
        "OS/Arch:",
        host
    );
    let Some(server) = server else { return text };
    let field = |field: &Option<String>| field.clone().unwrap_or_default();
    let platform = server.platform.as_ref().map(|platform| platform.name.clone());
    text.push_str(&format!("\nServer: {}\n", platform.unwrap_or_default()).replace(": \n", ":\n"));
    for component in server.components.iter().flatten() {
        text.push_str(&format!(
            " {}:\n  {:<17}{}\n",
            component.name, "Version:", component.version
        ));
        if component.name == "Engine" {
            let api = format!(
                "{} (minimum {})",
                field(&server.api_version),
                field(&server.min_api_version)
            );
            text.push_str(&format!("  {:<17}{api}\n", "API version:"));
            text.push_str(&format!(
                "  {:<17}{}/{}\n",
                "OS/Arch:",
                field(&server.os),
                field(&server.arch)
            ));
            text.push_str(&format!("  {:<17}{}\n", "Kernel:", field(&server.kernel_version)));
        }
    }
    text
}
