//! `ferry stats`: shows what containers use, again and again.

use std::collections::HashMap;
use std::time::Duration;

use bollard_stubs::models::{ContainerCpuStats, ContainerStatsResponse, ContainerSummary};
use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::path;
use super::ps::short_id;
use crate::command::Verb;
use crate::engine::Engine;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::list::{Column, Style, render};
use crate::format::size;
use crate::invocation::Invocation;
use crate::terminal;

/// Requests under way at once.
const AT_ONCE: usize = 32;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// `ferry stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Look once
    #[arg(long)]
    no_stream: bool,
    /// Show IDs whole
    #[arg(long)]
    no_trunc: bool,
    /// Containers; all that run if none is named
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const COLUMNS: &[Column] = &[
    Column {
        field: "Container",
        head: "CONTAINER",
    },
    Column {
        field: "ID",
        head: "CONTAINER ID",
    },
    Column {
        field: "Name",
        head: "NAME",
    },
    Column {
        field: "CPUPerc",
        head: "CPU %",
    },
    Column {
        field: "MemUsage",
        head: "MEM USAGE / LIMIT",
    },
    Column {
        field: "MemPerc",
        head: "MEM %",
    },
    Column {
        field: "NetIO",
        head: "NET I/O",
    },
    Column {
        field: "BlockIO",
        head: "BLOCK I/O",
    },
    Column {
        field: "PIDs",
        head: "PIDS",
    },
];

const TABLE: &[&str] = &[
    "ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs",
];

impl Verb for Stats {
    const ABOUT: &'static str = "Show what containers use";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let format = match &self.format {
            Some(format) => Some(format.clone()),
            None => invocation.config()?.text("statsFormat").map(str::to_owned),
        };
        let style = Style {
            format: format.as_deref(),
            quiet: None,
            table: TABLE,
            columns: COLUMNS,
        };
        let mut before = HashMap::new();
        let mut is_first = true;
        loop {
            let names = self.names(engine).await?;
            // The engine looks twice for the first answer, so that it tells the CPU's share.
            let samples = look(engine, &names, is_first).await;
            let mut rows = Vec::new();
            let mut now = HashMap::new();
            for (name, sample) in names.iter().zip(samples) {
                match sample {
                    Ok(sample) => {
                        rows.push(self.row(name, &sample, before.get(name)));
                        now.insert(name.clone(), sample.cpu_stats.unwrap_or_default());
                    }
                    // One that went away since the list was made is no failure.
                    Err(_) if self.containers.is_empty() => {}
                    Err(failure) => return Err(failure.while_doing(format!("cannot measure {name}"))),
                }
            }
            let clear = if !self.no_stream && terminal::stdout_is_one() {
                "\x1b[H\x1b[2J"
            } else {
                ""
            };
            let text = format!("{clear}{}", render(&style, &rows)?);
            terminal::print(&text).explain(|| "cannot write the list")?;
            if self.no_stream {
                return Ok(ExitStatus::SUCCESS);
            }
            before = now;
            is_first = false;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Stats {
    async fn names(&self, engine: &Engine) -> Result<Vec<String>, Failure> {
        if !self.containers.is_empty() {
            return Ok(self.containers.clone());
        }
        let list: Vec<ContainerSummary> = engine.get("/containers/json").query_if("all", self.all).json().await?;
        Ok(list.into_iter().filter_map(|container| container.id).collect())
    }

    fn row(&self, name: &str, sample: &ContainerStatsResponse, before: Option<&ContainerCpuStats>) -> Value {
        let id = sample.id.as_deref().unwrap_or_default();
        let shown_id = if self.no_trunc { id } else { short_id(id) };
        let (used, limit) = memory(sample);
        let (received, sent) = network(sample);
        let (read, written) = block_io(sample);
        json!({
            "Container": if self.containers.is_empty() { shown_id } else { name },
            "ID": shown_id,
            "Name": sample.name.as_deref().unwrap_or_default().trim_start_matches('/'),
            "CPUPerc": format!("{:.2}%", cpu_percent(sample, before)),
            "MemUsage": format!("{} / {}", size::binary(used), size::binary(limit)),
            "MemPerc": format!("{:.2}%", percent(used, limit)),
            "NetIO": format!("{} / {}", size::human(received), size::human(sent)),
            "BlockIO": format!("{} / {}", size::human(read), size::human(written)),
            "PIDs": sample.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0).to_string(),
        })
    }
}

async fn look(engine: &Engine, names: &[String], is_first: bool) -> Vec<Result<ContainerStatsResponse, Failure>> {
    let samples = stream::iter(names).map(|name| async move {
        let request = engine
            .get(path(name, "stats"))
            .query("stream", "false")
            .query_if("one-shot", !is_first);
        Ok(request.json().await?)
    });
    samples.buffered(AT_ONCE).collect().await
}

/// The share of one CPU since `before`, or since what the engine looked at before.
fn cpu_percent(sample: &ContainerStatsResponse, before: Option<&ContainerCpuStats>) -> f64 {
    let (Some(now), Some(before)) = (&sample.cpu_stats, before.or(sample.precpu_stats.as_ref())) else {
        return 0.0;
    };
    let used = |stats: &ContainerCpuStats| {
        stats
            .cpu_usage
            .as_ref()
            .and_then(|usage| usage.total_usage)
            .unwrap_or(0)
    };
    let whole = |stats: &ContainerCpuStats| stats.system_cpu_usage.unwrap_or(0);
    let cpus = match now.online_cpus.unwrap_or(0) {
        0 => now
            .cpu_usage
            .as_ref()
            .and_then(|usage| usage.percpu_usage.as_ref())
            .map_or(1, Vec::len),
        cpus => cpus as usize,
    };
    let delta = used(now).saturating_sub(used(before)).saturating_mul(cpus as u64);
    percent(delta, whole(now).saturating_sub(whole(before)))
}

/// In use without what the kernel would give back at once, and the limit (bytes).
fn memory(sample: &ContainerStatsResponse) -> (u64, u64) {
    let Some(memory) = &sample.memory_stats else {
        return (0, 0);
    };
    let usage = memory.usage.unwrap_or(0);
    let detail = |name: &str| memory.stats.as_ref().and_then(|stats| stats.get(name)).copied();
    let idle = detail("total_inactive_file").or(detail("inactive_file")).unwrap_or(0);
    let used = if idle < usage { usage - idle } else { usage };
    (used, memory.limit.unwrap_or(0))
}

fn network(sample: &ContainerStatsResponse) -> (u64, u64) {
    let interfaces = sample.networks.iter().flat_map(HashMap::values);
    interfaces.fold((0, 0), |(received, sent), interface| {
        (
            received + interface.rx_bytes.unwrap_or(0),
            sent + interface.tx_bytes.unwrap_or(0),
        )
    })
}

fn block_io(sample: &ContainerStatsResponse) -> (u64, u64) {
    let entries = sample
        .blkio_stats
        .iter()
        .flat_map(|stats| stats.io_service_bytes_recursive.iter().flatten());
    entries.fold((0, 0), |(read, written), entry| {
        let value = entry.value.unwrap_or(0);
        match entry.op.as_deref().and_then(|op| op.bytes().next()) {
            Some(b'r' | b'R') => (read + value, written),
            Some(b'w' | b'W') => (read, written + value),
            _ => (read, written),
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_row() {
        let sample: ContainerStatsResponse = serde_json::from_value(json!({
            "id": "0123456789abcdef", "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 200}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3_145_728, "limit": 8_388_608, "stats": {"inactive_file": 1_048_576}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"op": "read", "value": 1000}, {"op": "Write", "value": 5}, {"op": "Sync", "value": 7}]},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 3, "tx_bytes": 4}},
            "pids_stats": {"current": 3},
        }))
        .expect("an answer");
        let stats = Stats {
            all: false,
            format: None,
            no_stream: true,
            no_trunc: false,
            containers: Vec::new(),
        };
        let row = stats.row("0123", &sample, None);
        for (field, text) in [
            ("ID", "0123456789ab"),
            ("Name", "web"),
            ("CPUPerc", "20.00%"),
            ("MemUsage", "2MiB / 8MiB"),
            ("MemPerc", "25.00%"),
            ("NetIO", "4B / 6B"),
            ("BlockIO", "1kB / 5B"),
            ("PIDs", "3"),
        ] {
            assert_eq!(row[field], text, "{field}");
        }
        let nothing = stats.row("x", &ContainerStatsResponse::default(), None);
        assert_eq!(
            (&nothing["CPUPerc"], &nothing["MemUsage"]),
            (&json!("0.00%"), &json!("0B / 0B"))
        );
    }
}
