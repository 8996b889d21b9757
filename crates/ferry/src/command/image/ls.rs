//! `ferry images`: lists images, and with `--tree` the CPUs that each is there for.

use std::time::SystemTime;

use bollard_stubs::models::ImageSummary;
use clap::Args;
use serde_json::{Value, json};

use crate::command::Verb;
use crate::command::container::ps::{filters, short_id};
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::format::list::{Column, Style, render};
use crate::format::{age, size, when};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry images`.
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Show intermediate images too
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Show only what holds: dangling=true, reference=name, label=…
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show IDs whole
    #[arg(long)]
    no_trunc: bool,
    /// Show IDs alone
    #[arg(short, long)]
    quiet: bool,
    /// Show the CPUs that each image is there for
    #[arg(long)]
    tree: bool,
    /// Show only images of this name
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

pub(crate) const COLUMNS: &[Column] = &[
    Column {
        field: "Repository",
        head: "REPOSITORY",
    },
    Column {
        field: "Tag",
        head: "TAG",
    },
    Column {
        field: "Digest",
        head: "DIGEST",
    },
    Column {
        field: "ID",
        head: "IMAGE ID",
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
        field: "Size",
        head: "SIZE",
    },
    Column {
        field: "Containers",
        head: "CONTAINERS",
    },
    Column {
        field: "SharedSize",
        head: "SHARED SIZE",
    },
    Column {
        field: "UniqueSize",
        head: "UNIQUE SIZE",
    },
    Column {
        field: "Platforms",
        head: "PLATFORMS",
    },
];

impl Verb for Images {
    const ABOUT: &'static str = "List images";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let format = match &self.format {
            Some(format) => Some(format.clone()),
            None if self.quiet => None,
            None => invocation.config()?.text("imagesFormat").map(str::to_owned),
        };
        let mut flags = self.filter.clone();
        flags.extend(self.name.iter().map(|name| format!("reference={name}")));
        let asks_platforms = self.tree || format.as_deref().is_some_and(|format| format.contains(".Platforms"));
        let images: Vec<ImageSummary> = engine
            .get("/images/json")
            .query_if("all", self.all)
            .query_if("manifests", asks_platforms)
            .query_opt("filters", filters(&flags)?)
            .json()
            .await?;
        let asks_digests = self.digests || format.as_deref().is_some_and(|format| format.contains(".Digest"));
        let now = SystemTime::now();
        let rows: Vec<Value> = images
            .iter()
            .flat_map(|image| rows(image, !self.no_trunc, asks_digests, now))
            .collect();
        let mut fields = vec!["Repository", "Tag"];
        if self.digests {
            fields.push("Digest");
        }
        fields.extend(["ID", "CreatedSince", "Size"]);
        if self.tree {
            fields.push("Platforms");
        }
        let style = Style {
            format: format.as_deref(),
            quiet: self.quiet.then_some("ID"),
            table: &fields,
            columns: COLUMNS,
        };
        terminal::print(&render(&style, &rows)?).explain(|| "cannot write the list")?;
        Ok(ExitStatus::SUCCESS)
    }
}

/// An image has a row for each of its names, and with digests for each of these.
pub(crate) fn rows(image: &ImageSummary, truncate: bool, with_digests: bool, now: SystemTime) -> Vec<Value> {
    let none = || "<none>".to_owned();
    let digest_of = |repository: &str| {
        image
            .repo_digests
            .iter()
            .filter_map(|named| named.split_once('@'))
            .find(|(name, _)| *name == repository)
            .map(|(_, digest)| digest.to_owned())
    };
    let mut names: Vec<(String, String, Option<String>)> = image
        .repo_tags
        .iter()
        .filter_map(|name| split_tag(name))
        .map(|(repository, tag)| {
            let digest = digest_of(&repository);
            (repository, tag, digest)
        })
        .collect();
    if with_digests || names.is_empty() {
        // Names that only a digest leads to.
        for (repository, digest) in image.repo_digests.iter().filter_map(|named| named.split_once('@')) {
            let known = names.iter().any(|(name, ..)| name == repository) || repository == "<none>";
            if !known {
                names.push((repository.to_owned(), none(), Some(digest.to_owned())));
            }
        }
    }
    if names.is_empty() {
        names.push((none(), none(), None));
    }
    let id = if truncate { short_id(&image.id) } else { &image.id };
    names
        .into_iter()
        .map(|(repository, tag, digest)| {
            json!({
                "Repository": repository,
                "Tag": tag,
                "Digest": digest.unwrap_or_else(none),
                "ID": id,
                "CreatedSince": age::since(image.created, now),
                "CreatedAt": when::in_list(image.created),
                "Size": size::human_signed(image.size),
                "VirtualSize": size::human_signed(image.size),
                "Containers": count(image.containers),
                "SharedSize": size::human_signed(image.shared_size),
                "UniqueSize": if image.shared_size < 0 { "N/A".to_owned() } else { size::human_signed(image.size - image.shared_size) },
                "Platforms": platforms(image),
            })
        })
        .collect()
}

fn count(containers: i64) -> String {
    if containers < 0 {
        "N/A".to_owned()
    } else {
        containers.to_string()
    }
}

/// `localhost:5000/a:1` into name and tag.
fn split_tag(name: &str) -> Option<(String, String)> {
    let (repository, tag) = name.rsplit_once(':')?;
    (repository != "<none>" && !tag.contains('/')).then(|| (repository.to_owned(), tag.to_owned()))
}

/// The CPUs that an image is there for; in brackets those that it only lists.
fn platforms(image: &ImageSummary) -> String {
    let mut shown: Vec<String> = image
        .manifests
        .iter()
        .flatten()
        .filter_map(|manifest| {
            let platform = manifest.image_data.as_ref().map(|data| &data.platform)?;
            let parts = [&platform.os, &platform.architecture, &platform.variant];
            let name = parts
                .into_iter()
                .filter_map(|part| part.as_deref().filter(|part| !part.is_empty()))
                .collect::<Vec<_>>()
                .join("/");
            Some(if manifest.available { name } else { format!("({name})") })
        })
        .collect();
    shown.dedup();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tags: &[&str], digests: &[&str]) -> ImageSummary {
        ImageSummary {
            id: "sha256:0123456789abcdef".into(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            repo_digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            size: 4_261_502,
            shared_size: -1,
            containers: -1,
            ..ImageSummary::default()
        }
    }

    #[test]
    fn an_image_has_a_row_for_each_name() {
        let shown = |image: &ImageSummary| -> Vec<String> {
            rows(image, true, false, SystemTime::UNIX_EPOCH)
                .iter()
                .map(|row| {
                    format!("{} {} {} {}", row["Repository"], row["Tag"], row["Digest"], row["ID"]).replace('"', "")
                })
                .collect()
        };
        assert_eq!(
            shown(&image(&["a:1", "localhost:5000/b:2"], &["a@sha256:00"])),
            ["a 1 sha256:00 0123456789ab", "localhost:5000/b 2 <none> 0123456789ab"]
        );
        assert_eq!(
            shown(&image(&[], &["a@sha256:00"])),
            ["a <none> sha256:00 0123456789ab"]
        );
        assert_eq!(
            shown(&image(&["<none>:<none>"], &["<none>@<none>"])),
            ["<none> <none> <none> 0123456789ab"]
        );
        assert_eq!(
            rows(&image(&["a:1"], &[]), true, false, SystemTime::UNIX_EPOCH)[0]["Size"],
            "4.26MB"
        );
    }
}
