//! `ferry history`: how an image was made, newest step first.

use std::time::SystemTime;

use bollard_stubs::models::ImageHistoryResponseItem;
use clap::Args;
use serde_json::{Value, json};

use super::path;
use crate::command::Verb;
use crate::command::container::ps::short_id;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::format::list::{Column, Style, render};
use crate::format::{age, size, table, when};
use crate::invocation::Invocation;
use crate::{terminal, transfer};

/// Characters of a step that the list shows.
const STEP_LENGTH: usize = 45;

/// `ferry history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print sizes and times for people
    #[arg(short = 'H', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, action = clap::ArgAction::Set, value_parser = clap::builder::ValueParser::new(crate::cli::go_bool))]
    human: bool,
    /// Show steps whole
    #[arg(long)]
    no_trunc: bool,
    /// CPU whose image is meant
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Show IDs alone
    #[arg(short, long)]
    quiet: bool,
    /// Image
    #[arg(value_name = "IMAGE")]
    image: String,
}

const COLUMNS: &[Column] = &[
    Column {
        field: "ID",
        head: "IMAGE",
    },
    Column {
        field: "CreatedSince",
        head: "CREATED",
    },
    Column {
        field: "CreatedAt",
        head: "CREATED AT",
    },
    Column {
        field: "CreatedBy",
        head: "CREATED BY",
    },
    Column {
        field: "Size",
        head: "SIZE",
    },
    Column {
        field: "Comment",
        head: "COMMENT",
    },
];

impl Verb for History {
    const ABOUT: &'static str = "Show how an image was made";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let platform = self.platform.as_deref().map(transfer::platform_json).transpose()?;
        let items: Vec<ImageHistoryResponseItem> = invocation
            .engine()?
            .get(path(&self.image, "history"))
            .query_opt("platform", platform)
            .json()
            .await?;
        let now = SystemTime::now();
        let rows: Vec<Value> = items
            .iter()
            .map(|item| {
                let step = item.created_by.replace('\t', " ");
                let id = if self.no_trunc { item.id.as_str() } else { short_id(&item.id) };
                json!({
                    "ID": id,
                    "CreatedSince": if self.human { age::since(item.created, now) } else { when::rfc3339(item.created) },
                    "CreatedAt": when::rfc3339(item.created),
                    "CreatedBy": if self.no_trunc { step } else { table::shorten(&step, STEP_LENGTH) },
                    "Size": if self.human { size::human_signed(item.size) } else { item.size.to_string() },
                    "Comment": item.comment,
                })
            })
            .collect();
        let style = Style {
            format: self.format.as_deref(),
            quiet: self.quiet.then_some("ID"),
            table: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
            columns: COLUMNS,
        };
        terminal::print(&render(&style, &rows)?).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}
