//! `ferry system prune`: removes containers that have ended, images that nothing uses, and the build cache.

use bollard_stubs::models::ImageDeleteResponseItem;
use clap::Args;
use serde::{Deserialize, Deserializer};

use crate::command::Verb;
use crate::command::container::ps::filters;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::size;
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry system prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Remove all images without a container, not just those without a name
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

/// Flags of every prune.
#[derive(Debug, Args)]
pub(crate) struct PruneFlags {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Remove only what holds: until=24h, label=…
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

/// What was removed (Docker Engine API, the prune endpoints).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pruned {
    /// Containers by ID.
    #[serde(rename = "ContainersDeleted", deserialize_with = "or_none")]
    pub(crate) containers: Vec<String>,
    /// Names and IDs of images.
    #[serde(rename = "ImagesDeleted", deserialize_with = "or_none")]
    pub(crate) images: Vec<ImageDeleteResponseItem>,
    /// Networks by name.
    #[serde(rename = "NetworksDeleted", deserialize_with = "or_none")]
    networks: Vec<String>,
    /// Build cache by ID.
    #[serde(rename = "CachesDeleted", deserialize_with = "or_none")]
    pub(crate) caches: Vec<String>,
    /// What became free (bytes).
    #[serde(rename = "SpaceReclaimed")]
    pub(crate) bytes: u64,
}

/// Go writes an empty list as null.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Option::<Vec<T>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Verb for Prune {
    const ABOUT: &'static str = "Remove what nothing uses";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let images = if self.all {
            "all images without a container"
        } else {
            "all images without a name"
        };
        let question = format!(
            "This removes all containers that have ended, networks without a container, {images}, and the unused build cache."
        );
        if !agrees(self.flags.force, &question)? {
            return Ok(ExitStatus::SUCCESS);
        }
        let engine = invocation.engine()?;
        let plain = filters(&self.flags.filter)?;
        let mut image_flags = self.flags.filter.clone();
        image_flags.push(format!("dangling={}", !self.all));
        let of_images = filters(&image_flags)?;
        let mut bytes = 0_u64;
        for (path, filters, head) in [
            ("/containers/prune", &plain, "Deleted containers:"),
            ("/networks/prune", &plain, "Deleted networks:"),
            ("/images/prune", &of_images, "Deleted images:"),
            ("/build/prune", &plain, "Deleted build cache:"),
        ] {
            let request = engine.post(path).query_opt("filters", filters.as_deref());
            // Images know by a filter whether all are meant.
            let request = request.query_if("all", self.all && path == "/build/prune");
            let pruned: Pruned = match request.json().await {
                Ok(pruned) => pruned,
                // An engine without networks or a build cache of its own has none to prune.
                Err(error)
                    if error
                        .status()
                        .is_some_and(|status| matches!(status.as_u16(), 404 | 501)) =>
                {
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let images = pruned
                .images
                .iter()
                .filter_map(|item| item.deleted.as_ref().or(item.untagged.as_ref()));
            let names: Vec<&String> = pruned
                .containers
                .iter()
                .chain(&pruned.networks)
                .chain(images)
                .chain(&pruned.caches)
                .collect();
            if !names.is_empty() {
                terminal::say(head)?;
                for name in names {
                    terminal::say(name)?;
                }
                terminal::say("")?;
            }
            bytes = bytes.saturating_add(pruned.bytes);
        }
        terminal::say(&reclaimed(bytes))?;
        Ok(ExitStatus::SUCCESS)
    }
}

/// Asks at the terminal, unless forced; without a terminal nothing is removed unasked.
pub(crate) fn agrees(force: bool, question: &str) -> Result<bool, Failure> {
    if force {
        return Ok(true);
    }
    if !terminal::stdin_is_one() {
        return Err(Failure::new("this asks before it removes, and stdin is no terminal").hint("add --force"));
    }
    let answer = terminal::ask(&format!("{question}\nGo on? [y/N] ")).explain(|| "cannot read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The last line of a prune.
pub(crate) fn reclaimed(bytes: u64) -> String {
    format!("Total reclaimed space: {}", size::precise(bytes))
}
