//! `ferry info`: what the engine is, has and can do.

use bollard_stubs::models::SystemInfo;
use clap::Args;
use serde_json::Value;

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Outcome};
use crate::format::list::unescape;
use crate::format::size;
use crate::format::template::{Missing, Template};
use crate::invocation::Invocation;
use crate::terminal;

/// `ferry info`.
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for Info {
    const ABOUT: &'static str = "Show what the engine is, has and can do";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let bytes = invocation.engine()?.get("/info").bytes().await?;
        let misread = || "cannot understand the engine's answer";
        let text = match self.format.as_deref() {
            None | Some("") => for_people(&serde_json::from_slice(&bytes).explain(misread)?),
            Some("json") => format!("{}\n", String::from_utf8_lossy(&bytes).trim()),
            Some(text) => {
                let template =
                    Template::parse(&unescape(text)).explain(|| format!("cannot use the format {text:?}"))?;
                let value: Value = serde_json::from_slice(&bytes).explain(misread)?;
                let shown = template.render(&value, Missing::IsNothing);
                format!("{}\n", shown.explain(|| "cannot show it")?)
            }
        };
        terminal::print(&text).explain(|| "cannot write the result")?;
        Ok(ExitStatus::SUCCESS)
    }
}

fn for_people(info: &SystemInfo) -> String {
    let mut text = String::new();
    let mut line = |level: usize, name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("{:level$}{name}: {value}\n", ""));
        }
    };
    let words = |field: &Option<String>| field.clone().unwrap_or_default();
    let count = |field: Option<i64>| field.map(|count| count.to_string()).unwrap_or_default();
    line(0, "Containers", count(info.containers));
    line(1, "Running", count(info.containers_running));
    line(1, "Paused", count(info.containers_paused));
    line(1, "Stopped", count(info.containers_stopped));
    line(0, "Images", count(info.images));
    line(0, "Engine version", words(&info.server_version));
    line(0, "Storage driver", words(&info.driver));
    for pair in info.driver_status.iter().flatten() {
        if let [name, value] = pair.as_slice() {
            line(1, name, value.clone());
        }
    }
    line(0, "Logging driver", words(&info.logging_driver));
    line(
        0,
        "Cgroup driver",
        info.cgroup_driver.map(|d| d.to_string()).unwrap_or_default(),
    );
    line(
        0,
        "Cgroup version",
        info.cgroup_version.map(|v| v.to_string()).unwrap_or_default(),
    );
    line(0, "Default runtime", words(&info.default_runtime));
    line(0, "Kernel", words(&info.kernel_version));
    line(0, "Operating system", words(&info.operating_system));
    line(0, "OS type", words(&info.os_type));
    line(0, "Architecture", words(&info.architecture));
    line(0, "CPUs", count(info.ncpu));
    let memory = info
        .mem_total
        .and_then(|bytes| u64::try_from(bytes).ok())
        .filter(|bytes| *bytes > 0);
    line(0, "Memory", memory.map(size::precise).unwrap_or_default());
    line(0, "Name", words(&info.name));
    line(0, "ID", words(&info.id));
    line(0, "Data root", words(&info.docker_root_dir));
    line(
        0,
        "Security options",
        info.security_options.clone().unwrap_or_default().join(", "),
    );
    for warning in info.warnings.iter().flatten() {
        text.push_str(&format!("{warning}\n"));
    }
    text
}
