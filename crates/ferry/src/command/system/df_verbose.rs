//! `ferry system df -v`: image by image, container by container, step by step.

use std::time::SystemTime;

use bollard_stubs::models::{ContainerSummary, ImageSummary};
use serde::Deserialize;
use serde_json::{Value, json};

use super::df::Volume;
use crate::command::container::ps;
use crate::command::image::ls;
use crate::failure::Failure;
use crate::format::list::{Column, Style, render};
use crate::format::size;

/// The part of the answer that is listed (Docker Engine API, SystemDataUsage).
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Listed {
    images: Option<Vec<ImageSummary>>,
    containers: Option<Vec<ContainerSummary>>,
    volumes: Option<Vec<Volume>>,
    build_cache: Option<Vec<Cache>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Cache {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Type")]
    kind: String,
    description: String,
    size: i64,
    shared: bool,
    usage_count: i64,
}

const IMAGE_FIELDS: &[&str] = &[
    "Repository",
    "Tag",
    "ID",
    "CreatedSince",
    "Size",
    "SharedSize",
    "UniqueSize",
    "Containers",
];

const CONTAINER_FIELDS: &[&str] = &[
    "ID",
    "Image",
    "Command",
    "LocalVolumes",
    "Size",
    "RunningFor",
    "Status",
    "Names",
];

const VOLUME_COLUMNS: &[Column] = &[
    Column {
        field: "Name",
        head: "VOLUME NAME",
    },
    Column {
        field: "Links",
        head: "LINKS",
    },
    Column {
        field: "Size",
        head: "SIZE",
    },
];

const CACHE_COLUMNS: &[Column] = &[
    Column {
        field: "ID",
        head: "CACHE ID",
    },
    Column {
        field: "CacheType",
        head: "CACHE TYPE",
    },
    Column {
        field: "Size",
        head: "SIZE",
    },
    Column {
        field: "UsageCount",
        head: "USAGE",
    },
    Column {
        field: "Shared",
        head: "SHARED",
    },
    Column {
        field: "Description",
        head: "DESCRIPTION",
    },
];

/// The text for `answer`.
pub(super) fn text(answer: &Value) -> Result<String, Failure> {
    let listed = Listed::deserialize(answer).map_err(|error| {
        Failure::new(format!(
            "cannot understand the engine's answer to GET /system/df: {error}"
        ))
    })?;
    let now = SystemTime::now();
    let images = listed.images.iter().flatten();
    let images: Vec<Value> = images.flat_map(|image| ls::rows(image, true, false, now)).collect();
    let containers = listed.containers.iter().flatten();
    let containers: Vec<Value> = containers
        .map(|container| ps::row(container, None, true, now))
        .collect();
    let volumes: Vec<Value> = listed.volumes.iter().flatten().map(volume_row).collect();
    let cache = listed.build_cache.as_deref().unwrap_or_default();
    let own: i64 = cache.iter().filter(|entry| !entry.shared).map(|entry| entry.size).sum();
    let cache: Vec<Value> = cache.iter().map(cache_row).collect();
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: {}\n\n{}",
        table(IMAGE_FIELDS, ls::COLUMNS, &images)?,
        table(CONTAINER_FIELDS, ps::COLUMNS, &containers)?,
        table(&["Name", "Links", "Size"], VOLUME_COLUMNS, &volumes)?,
        size::human_signed(own),
        table(
            &["ID", "CacheType", "Size", "UsageCount", "Shared", "Description"],
            CACHE_COLUMNS,
            &cache
        )?,
    ))
}

fn table(fields: &[&'static str], columns: &[Column], rows: &[Value]) -> Result<String, Failure> {
    let style = Style {
        format: None,
        quiet: None,
        table: fields,
        columns,
    };
    render(&style, rows)
}

fn volume_row(volume: &Volume) -> Value {
    let usage = volume.usage_data.as_ref();
    json!({
        "Name": volume.name,
        "Links": usage.map_or(0, |usage| usage.ref_count).to_string(),
        "Size": size::human_signed(usage.map_or(0, |usage| usage.size.max(0))),
    })
}

fn cache_row(entry: &Cache) -> Value {
    json!({
        "ID": ps::short_id(&entry.id),
        "CacheType": entry.kind,
        "Size": size::human_signed(entry.size),
        "UsageCount": entry.usage_count.to_string(),
        "Shared": entry.shared.to_string(),
        "Description": entry.description,
    })
}
