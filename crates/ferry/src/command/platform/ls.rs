//! `ferry platform ls`: for each CPU whether it runs here, natively or by which emulator, or what is missing.

use clap::Args;
use ferry_engine::{PlatformReport, PlatformState};
use http::StatusCode;
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
        field: "State",
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
        field: "Note",
        head: "NOTE",
    },
];

impl Verb for Ls {
    const ABOUT: &'static str = "List CPUs and how their programs run here";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let platforms: Vec<PlatformReport> =
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
            .filter(|platform| !self.quiet || platform.state != PlatformState::Missing)
            .map(|platform| {
                json!({
                    "Platform": platform.platform,
                    "State": platform.state,
                    "Emulator": platform.emulator,
                    "Version": platform.version,
                    "Note": platform.note,
                })
            })
            .collect();
        let style = Style {
            format: self.format.as_deref(),
            quiet: self.quiet.then_some("Platform"),
            table: &["Platform", "State", "Emulator", "Version", "Note"],
            columns: COLUMNS,
        };
        terminal::print(&render(&style, &rows)?).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}
