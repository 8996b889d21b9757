//! `ferry logs`: what a container wrote, and what it writes.

use std::time::SystemTime;

use clap::Args;
use futures_util::TryStreamExt;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use tokio_util::io::StreamReader;

use super::{Facts, path};
use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::when;
use crate::invocation::Invocation;
use crate::stream::{Ending, Shape, copy_output};

/// `ferry logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on with what it writes
    #[arg(short, long)]
    follow: bool,
    /// Begin with the time of each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only the last lines
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        default_value = "all",
        allow_negative_numbers = true
    )]
    tail: String,
    /// Only what was written since: 10m, 2026-08-01T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was written until
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show extra attributes
    #[arg(long)]
    details: bool,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for Logs {
    const ABOUT: &'static str = "Show what a container wrote";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let now = SystemTime::now();
        let time = |text: &Option<String>, flag: &str| {
            text.as_deref()
                .map(|text| when::for_api(text, now))
                .transpose()
                .explain(|| format!("cannot use {flag}"))
        };
        let (since, until) = (time(&self.since, "--since")?, time(&self.until, "--until")?);
        let response = engine
            .get(path(&self.container, "logs"))
            .query("stdout", "1")
            .query("stderr", "1")
            .query_if("follow", self.follow)
            .query_if("timestamps", self.timestamps)
            .query_if("details", self.details)
            .query("tail", &self.tail)
            .query_opt("since", since)
            .query_opt("until", until)
            .stream()
            .await
            .map_err(Failure::from)?;
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let shape = match kind {
            Some("application/vnd.docker.multiplexed-stream") => Shape::Framed,
            // Older engines say raw for both, and only the container tells.
            _ => Shape::of_tty(Facts::of(engine, &self.container).await?.config.tty),
        };
        let body = response.into_body().into_data_stream().map_err(std::io::Error::other);
        match copy_output(StreamReader::new(body), shape).await? {
            Ending::OutputGone => Ok(ExitStatus::of_signal(13)),
            Ending::Closed | Ending::Detached => Ok(ExitStatus::SUCCESS),
        }
    }
}
