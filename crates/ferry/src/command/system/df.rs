//! `ferry system df`: what images, containers, volumes and the build cache take.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::format::list::{Column, Style, render};
use crate::format::size;
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry system df`.
#[derive(Debug, Args)]
pub(crate) struct Df {
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    format: Option<String>,
    /// Show each image, container and step
    #[arg(short, long)]
    verbose: bool,
}

const COLUMNS: &[Column] = &[
    Column {
        field: "Type",
        head: "TYPE",
    },
    Column {
        field: "TotalCount",
        head: "TOTAL",
    },
    Column {
        field: "Active",
        head: "ACTIVE",
    },
    Column {
        field: "Size",
        head: "SIZE",
    },
    Column {
        field: "Reclaimable",
        head: "RECLAIMABLE",
    },
];

/// The part of the answer that the totals need (Docker Engine API, SystemDataUsage).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Usage {
    layers_size: i64,
    image_usage: Option<Counted>,
    images: Option<Vec<Image>>,
    containers: Option<Vec<Container>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<Cache>>,
}

/// What newer engines count themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Counted {
    reclaimable: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Image {
    size: i64,
    shared_size: i64,
    containers: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Container {
    size_rw: i64,
    state: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Volume {
    pub(super) name: String,
    pub(super) usage_data: Option<VolumeUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct VolumeUsage {
    pub(super) size: i64,
    pub(super) ref_count: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Cache {
    size: i64,
    in_use: bool,
    shared: bool,
}

impl Verb for Df {
    const ABOUT: &'static str = "Show what images, containers and the build cache take";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let request = invocation.engine()?.get("/system/df");
        if self.verbose {
            let text = super::df_verbose::text(&request.query("verbose", "1").json().await?)?;
            terminal::print(&text).explain(|| "cannot write the list")?;
            return Ok(ExitStatus::SUCCESS);
        }
        let usage: Usage = request.json().await?;
        let style = Style {
            format: self.format.as_deref(),
            quiet: None,
            table: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
            columns: COLUMNS,
        };
        terminal::print(&render(&style, &rows(&usage))?).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}

fn rows(usage: &Usage) -> Vec<Value> {
    let images = usage.images.as_deref().unwrap_or_default();
    let used: i64 = images
        .iter()
        .filter(|image| image.containers > 0)
        .map(|image| image.size - image.shared_size.max(0))
        .sum();
    let containers = usage.containers.as_deref().unwrap_or_default();
    let is_active = |container: &&Container| matches!(container.state.as_str(), "running" | "paused" | "restarting");
    let volumes: Vec<&VolumeUsage> = usage
        .volumes
        .iter()
        .flatten()
        .filter_map(|volume| volume.usage_data.as_ref())
        .collect();
    let cache = usage.build_cache.as_deref().unwrap_or_default();
    vec![
        row(
            "Images",
            images.len(),
            images.iter().filter(|image| image.containers > 0).count(),
            usage.layers_size,
            usage
                .image_usage
                .as_ref()
                .map_or(usage.layers_size - used, |counted| counted.reclaimable),
        ),
        row(
            "Containers",
            containers.len(),
            containers.iter().filter(is_active).count(),
            containers.iter().map(|container| container.size_rw).sum(),
            containers
                .iter()
                .filter(|c| !is_active(c))
                .map(|container| container.size_rw)
                .sum(),
        ),
        row(
            "Local Volumes",
            usage.volumes.as_ref().map_or(0, Vec::len),
            volumes.iter().filter(|volume| volume.ref_count > 0).count(),
            volumes.iter().map(|volume| volume.size.max(0)).sum(),
            volumes
                .iter()
                .filter(|volume| volume.ref_count == 0)
                .map(|volume| volume.size.max(0))
                .sum(),
        ),
        row(
            "Build Cache",
            cache.len(),
            cache.iter().filter(|entry| entry.in_use).count(),
            cache.iter().filter(|entry| !entry.shared).map(|entry| entry.size).sum(),
            cache
                .iter()
                .filter(|entry| !entry.shared && !entry.in_use)
                .map(|entry| entry.size)
                .sum(),
        ),
    ]
}

fn row(kind: &str, total: usize, active: usize, bytes: i64, reclaimable: i64) -> Value {
    let reclaimable = reclaimable.clamp(0, bytes.max(0));
    let share = if bytes > 0 {
        format!(" ({}%)", reclaimable.saturating_mul(100) / bytes)
    } else {
        String::new()
    };
    json!({
        "Type": kind,
        "TotalCount": total.to_string(),
        "Active": active.to_string(),
        "Size": size::human_signed(bytes),
        "Reclaimable": format!("{}{share}", size::human_signed(reclaimable)),
    })
}
