//! `ferry platform ls`: for each CPU whether it runs here, natively or by which emulator, or what is missing.

use clap::Args;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::list::{Column, Style, render};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry platform ls`.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show platforms that run here, alone
    #[arg(short, long)]
    quiet: bool,
}

const COLUMNS: &[Column] = &[
    Column {
        field: "Platform",
        head: "PLATFORM",
    },
    Column {
        field: "Support",
        head: "RUNS",
    },
    Column {
        field: "Emulator",
        head: "EMULATOR",
    },
    Column {
        field: "Version",
        head: "VERSION",
    },
    Column {
        field: "Reason",
        head: "REASON",
    },
];

/// How a CPU's programs run on the engine's host (Ferry API, `GET /ferry/v1/platforms`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Platform {
    /// `linux/arm64`.
    platform: String,
    /// `native`, `emulated`, `registered` for everybody on the host, or `missing`.
    support: String,
    /// The emulator's file on the host.
    #[serde(default)]
    emulator: String,
    /// Its version.
    #[serde(default)]
    version: String,
    /// Why it is missing, what to install, or a warning.
    #[serde(default)]
    reason: String,
}

impl Verb for Ls {
    const ABOUT: &'static str = "List CPUs and how their programs run here";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let platforms: Vec<Platform> =
            invocation
                .engine()?
                .get("/ferry/v1/platforms")
                .json()
                .await
                .map_err(|error| match error.status() {
                    Some(StatusCode::NOT_FOUND) => Failure::new("this engine does not tell which CPUs it runs")
                        .hint("it is no Ferry engine; leave -H and DOCKER_HOST out to ask Ferry's own"),
                    _ => error.into(),
                })?;
        let rows: Vec<Value> = platforms
            .iter()
            .filter(|platform| !self.quiet || platform.support != "missing")
            .map(|platform| {
                json!({
                    "Platform": platform.platform,
                    "Support": platform.support,
                    "Emulator": platform.emulator,
                    "Version": platform.version,
                    "Reason": platform.reason,
                })
            })
            .collect();
        let style = Style {
            format: self.format.as_deref(),
            quiet: self.quiet.then_some("Platform"),
            table: &["Platform", "Support", "Emulator", "Version", "Reason"],
            columns: COLUMNS,
        };
        terminal::print(&render(&style, &rows)?).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}
