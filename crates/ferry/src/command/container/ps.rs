//! `ferry ps`: lists containers.

use std::time::SystemTime;

use bollard_stubs::models::{ContainerSummary, PortSummary};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::format::list::{Column, Style, render};
use crate::format::quote::quote;
use crate::format::{age, size, table, when};
use crate::invocation::Invocation;
use crate::terminal;

/// Characters of a command that the list shows.
const COMMAND_LENGTH: usize = 20;

/// `ferry ps`.
#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Show only what holds: status=exited, name=web, label=key=value …
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the last ones made
    #[arg(short = 'n', long, value_name = "COUNT", allow_negative_numbers = true)]
    last: Option<i64>,
    /// Show the one made last
    #[arg(short, long)]
    latest: bool,
    /// Show IDs, commands and names whole
    #[arg(long)]
    no_trunc: bool,
    /// Show IDs alone
    #[arg(short, long)]
    quiet: bool,
    /// Show sizes
    #[arg(short, long)]
    size: bool,
}

pub(crate) const COLUMNS: &[Column] = &[
    Column {
        field: "ID",
        head: "CONTAINER ID",
    },
    Column {
        field: "Image",
        head: "IMAGE",
    },
    Column {
        field: "Command",
        head: "COMMAND",
    },
    Column {
        field: "CreatedAt",
        head: "CREATED AT",
    },
    Column {
        field: "RunningFor",
        head: "CREATED",
    },
    Column {
        field: "Ports",
        head: "PORTS",
    },
    Column {
        field: "State",
        head: "STATE",
    },
    Column {
        field: "Status",
        head: "STATUS",
    },
    Column {
        field: "Size",
        head: "SIZE",
    },
    Column {
        field: "Names",
        head: "NAMES",
    },
    Column {
        field: "Labels",
        head: "LABELS",
    },
    Column {
        field: "Mounts",
        head: "MOUNTS",
    },
    Column {
        field: "LocalVolumes",
        head: "LOCAL VOLUMES",
    },
    Column {
        field: "Networks",
        head: "NETWORKS",
    },
    Column {
        field: "Platform",
        head: "PLATFORM",
    },
];

impl Verb for Ps {
    const ABOUT: &'static str = "List containers";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let engine = invocation.engine()?;
        let format = match &self.format {
            Some(format) => Some(format.clone()),
            None if self.quiet => None,
            None => invocation.config()?.text("psFormat").map(str::to_owned),
        };
        let limit = if self.latest {
            Some(1)
        } else {
            self.last.filter(|count| *count > 0)
        };
        let asks_size = self.size || format.as_deref().is_some_and(|format| format.contains(".Size"));
        let filters = filters(&self.filter)?;
        let now = SystemTime::now();
        let mut fields = vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
        if self.size {
            fields.push("Size");
        }
        let wanted = match &format {
            None if self.quiet => Some(&["ID"] as &[_]),
            None => Some(fields.as_slice()),
            Some(_) => None,
        };
        let mut rows = Vec::new();
        engine
            .get("/containers/json")
            .query_if("all", self.all || limit.is_some())
            .query_opt("limit", limit.map(|count| count.to_string()))
            .query_if("size", asks_size)
            .query_opt("filters", filters)
            .each(|container| rows.push(row(&container, wanted, !self.no_trunc, now)))
            .await?;
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

/// `--filter key=value` flags as the API takes them; none when there are none.
pub(crate) fn filters(flags: &[String]) -> Result<Option<String>, Failure> {
    let mut filters: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
    for flag in flags {
        let (key, value) = flag
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("invalid filter {flag:?}: expected NAME=VALUE")))?;
        filters.entry(key.trim()).or_default().push(value.trim());
    }
    Ok((!filters.is_empty()).then(|| json!(filters).to_string()))
}

/// The first twelve characters of an ID, without the algorithm.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

/// A container as a row of a list: the wanted fields, or all.
pub(crate) fn row(container: &ContainerSummary, wanted: Option<&[&str]>, truncate: bool, now: SystemTime) -> Value {
    let created = container.created.unwrap_or_default();
    let fields: [(&str, &dyn Fn() -> String); 15] = [
        ("ID", &|| {
            let id = container.id.as_deref().unwrap_or_default();
            if truncate { short_id(id) } else { id }.to_owned()
        }),
        ("Image", &|| image(container, truncate)),
        ("Command", &|| {
            let command = container.command.as_deref().unwrap_or_default();
            match truncate {
                true => quote(&table::shorten(command, COMMAND_LENGTH)),
                false => quote(command),
            }
        }),
        ("CreatedAt", &|| when::in_list(created)),
        ("RunningFor", &|| age::since(created, now)),
        ("Ports", &|| ports(container.ports.as_deref().unwrap_or_default())),
        ("State", &|| {
            container.state.map(|state| state.to_string()).unwrap_or_default()
        }),
        ("Status", &|| container.status.clone().unwrap_or_default()),
        ("Size", &|| sizes(container)),
        ("Names", &|| names(container, truncate)),
        ("Labels", &|| labels(container)),
        ("Mounts", &|| mounts(container, truncate)),
        ("LocalVolumes", &|| {
            let mounts = container.mounts.iter().flatten();
            let volumes = mounts.filter(|mount| mount.typ.as_deref() == Some("volume"));
            volumes.count().to_string()
        }),
        ("Networks", &|| networks(container)),
        ("Platform", &|| platform(container)),
    ];
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted.contains(&name));
    let wanted = fields.into_iter().filter(|(name, _)| is_wanted(name));
    wanted
        .map(|(name, value)| (name.to_owned(), Value::from(value())))
        .collect::<Map<_, _>>()
        .into()
}

fn names(container: &ContainerSummary, truncate: bool) -> String {
    let names = container.names.iter().flatten();
    let names = names.map(|name| name.strip_prefix('/').unwrap_or(name));
    // Links show as name/alias.
    let names: Vec<&str> = names.filter(|name| !truncate || !name.contains('/')).collect();
    names.join(",")
}

fn labels(container: &ContainerSummary) -> String {
    let labels = container.labels.iter().flatten();
    let mut labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    labels.join(",")
}

fn mounts(container: &ContainerSummary, truncate: bool) -> String {
    let mounts = container.mounts.iter().flatten().map(|mount| {
        let name = mount.name.as_ref().filter(|name| !name.is_empty());
        let name = name.or(mount.source.as_ref()).cloned().unwrap_or_default();
        if truncate { table::shorten(&name, 15) } else { name }
    });
    mounts.collect::<Vec<_>>().join(",")
}

fn networks(container: &ContainerSummary) -> String {
    let settings = container.network_settings.iter();
    let mut networks: Vec<&str> = settings
        .flat_map(|settings| settings.networks.iter().flatten())
        .map(|(name, _)| name.as_str())
        .collect();
    networks.sort_unstable();
    networks.join(",")
}

fn platform(container: &ContainerSummary) -> String {
    let descriptor = container.image_manifest_descriptor.as_ref();
    let platform = descriptor.and_then(|descriptor| descriptor.platform.as_ref());
    platform.map_or_else(String::new, |platform| {
        [&platform.os, &platform.architecture, &platform.variant]
            .into_iter()
            .filter_map(|part| part.as_deref().filter(|part| !part.is_empty()))
            .collect::<Vec<_>>()
            .join("/")
    })
}

/// The image as it was named; an image that lost its name shows by its ID.
fn image(container: &ContainerSummary, truncate: bool) -> String {
    let name = container.image.clone().unwrap_or_default();
    if name.is_empty() {
        return "<no image>".to_owned();
    }
    if !truncate {
        return name;
    }
    match &container.image_id {
        Some(id) if short_id(id) == short_id(&name) => short_id(&name).to_owned(),
        _ => name.split_once('@').map_or(name.clone(), |(name, _)| name.to_owned()),
    }
}

fn sizes(container: &ContainerSummary) -> String {
    let bytes = |size: Option<i64>| u64::try_from(size.unwrap_or_default()).unwrap_or_default();
    let own = size::precise(bytes(container.size_rw));
    match container.size_root_fs {
        Some(whole) if whole > 0 => {
            format!("{own} (virtual {})", size::precise(bytes(Some(whole))))
        }
        _ => own,
    }
}

/// Ports as `docker ps` shows them: neighbours are joined to ranges.
fn ports(ports: &[PortSummary]) -> String {
    let mut sorted: Vec<(String, u16, u16, String)> = ports
        .iter()
        .map(|port| {
            let kind = port.typ.map_or_else(|| "tcp".to_owned(), |kind| kind.to_string());
            let ip = port.ip.clone().unwrap_or_default();
            (ip, port.private_port, port.public_port.unwrap_or(0), kind)
        })
        .collect();
    sorted.sort_by(|a, b| (a.1, &a.0, a.2, &a.3).cmp(&(b.1, &b.0, b.2, &b.3)));
    let mut groups: Vec<(String, u16, u16, u16, String)> = Vec::new();
    for (ip, private, public, kind) in sorted {
        let joins = groups.iter_mut().find(|(known, _, last, last_public, known_kind)| {
            *known == ip
                && *known_kind == kind
                && last.checked_add(1) == Some(private)
                && (public == 0) == (*last_public == 0)
                && (public == 0 || last_public.checked_add(1) == Some(public))
        });
        match joins {
            Some((_, _, last, last_public, _)) => {
                *last = private;
                *last_public = public;
            }
            None => groups.push((ip, private, private, public, kind)),
        }
    }
    let shown: Vec<String> = groups
        .iter()
        .map(|(ip, first, last, last_public, kind)| {
            let span = |first: u16, last: u16| {
                if first == last {
                    first.to_string()
                } else {
                    format!("{first}-{last}")
                }
            };
            let private = format!("{}/{kind}", span(*first, *last));
            if *last_public == 0 {
                return private;
            }
            let host = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.clone()
            };
            let first_public = last_public - (last - first);
            format!("{host}:{}->{private}", span(first_public, *last_public))
        })
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: u16) -> PortSummary {
        PortSummary {
            ip: (!ip.is_empty()).then(|| ip.to_owned()),
            private_port: private,
            public_port: (public > 0).then_some(public),
            typ: None,
        }
    }

    #[test]
    fn ports_are_shown_as_docker_shows_them() {
        for (list, shown) in [
            (vec![], ""),
            (vec![port("", 80, 0)], "80/tcp"),
            (vec![port("", 80, 0), port("", 81, 0)], "80-81/tcp"),
            (
                vec![port("0.0.0.0", 80, 8080), port("::", 80, 8080)],
                "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (
                vec![port("0.0.0.0", 80, 90), port("0.0.0.0", 81, 91)],
                "0.0.0.0:90-91->80-81/tcp",
            ),
            (
                vec![port("0.0.0.0", 80, 90), port("0.0.0.0", 81, 95)],
                "0.0.0.0:90->80/tcp, 0.0.0.0:95->81/tcp",
            ),
        ] {
            assert_eq!(ports(&list), shown);
        }
    }

    #[test]
    fn filters_are_passed_on() {
        let flags = [
            "status=exited".to_owned(),
            "status=dead".to_owned(),
            "label=a=b".to_owned(),
        ];
        assert_eq!(
            filters(&flags).expect("filters").as_deref(),
            Some(r#"{"label":["a=b"],"status":["exited","dead"]}"#)
        );
        assert!(filters(&["x".to_owned()]).is_err());
    }

    #[test]
    fn a_container_is_a_row() {
        let container = ContainerSummary {
            id: Some("0123456789abcdef".into()),
            names: Some(vec!["/web".into(), "/db/web".into()]),
            image: Some("busybox".into()),
            command: Some("sh -c 'sleep 1000000'".into()),
            ..ContainerSummary::default()
        };
        let row = row(&container, None, true, SystemTime::UNIX_EPOCH);
        assert_eq!(row["ID"], "0123456789ab");
        assert_eq!(row["Names"], "web");
        assert_eq!(row["Command"], "\"sh -c 'sleep 100000…\"");
    }
}
