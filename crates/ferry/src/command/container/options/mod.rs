//! The flags that describe a container, shared by `run` and `create`, and their translation to the API.

mod environment;
mod filesystem;
mod health;
mod isolation;
mod lifecycle;
mod limits;
mod mount;
mod network;
mod port;
mod process;
mod resources;

use std::collections::HashMap;
use std::path::PathBuf;

use bollard_stubs::models::{ContainerCreateBody, HostConfig};
use clap::Args;

pub(crate) use environment::read_environment;
pub(crate) use lifecycle::{PullPolicy, read_restart};
pub(crate) use limits::Limits;

use crate::failure::Failure;
use crate::terminal;

/// The flags that describe a container.
#[derive(Debug, Args)]
pub(crate) struct ContainerOptions {
    #[command(flatten)]
    pub(crate) lifecycle: lifecycle::Lifecycle,
    #[command(flatten)]
    pub(crate) process: process::ProcessOptions,
    #[command(flatten)]
    filesystem: filesystem::FileSystem,
    #[command(flatten)]
    network: network::Network,
    #[command(flatten)]
    isolation: isolation::Isolation,
    #[command(flatten)]
    resources: resources::Resources,
    #[command(flatten)]
    health: health::Health,
    /// Image, and the command to run in it instead of its own
    #[arg(
        value_name = "IMAGE",
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// What is asked of the engine, from the flags.
pub(crate) struct Wanted {
    /// The container, in the API's words.
    pub(crate) body: ContainerCreateBody,
    /// Its name, when it was chosen.
    pub(crate) name: Option<String>,
    /// The image as it was written.
    pub(crate) image: String,
    /// The CPU that was asked for.
    pub(crate) platform: Option<String>,
    /// When to pull.
    pub(crate) pull: PullPolicy,
    /// Whether progress is shown.
    pub(crate) quiet: bool,
    /// Where the ID is to be written.
    pub(crate) cidfile: Option<PathBuf>,
}

/// Which of the streams are the terminal's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Streams {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl ContainerOptions {
    /// Translates the flags. `streams` are those to attach; `proxies` go below what the user set.
    pub(crate) fn translate(self, streams: Streams, proxies: Vec<(String, String)>) -> Result<Wanted, Failure> {
        let mut words = self.words.into_iter();
        // clap demands one.
        let image = words.next().unwrap_or_default();
        if image.is_empty() {
            return Err(Failure::new("the image's name is empty"));
        }
        let command: Vec<String> = words.collect();
        let mut host = HostConfig::default();
        let mut body = ContainerCreateBody {
            image: Some(image.clone()),
            cmd: (!command.is_empty()).then_some(command),
            attach_stdin: Some(streams.stdin),
            attach_stdout: Some(streams.stdout),
            attach_stderr: Some(streams.stderr),
            stdin_once: Some(streams.stdin && self.process.interactive),
            ..ContainerCreateBody::default()
        };
        if self.process.tty
            && let Some(size) = terminal::size()
        {
            host.console_size = Some(vec![usize::from(size.rows), usize::from(size.columns)]);
        }
        self.process.apply(&mut body, proxies)?;
        self.filesystem.apply(&mut body, &mut host)?;
        self.network.apply(&mut body, &mut host)?;
        self.isolation.apply(&mut host)?;
        self.resources.apply(&mut host)?;
        self.health.apply(&mut body)?;
        let wanted = self.lifecycle.apply(&mut host)?;
        body.host_config = Some(host);
        Ok(Wanted { body, image, ..wanted })
    }
}

/// `KEY=VALUE` flags as a map; without `=` the value is empty.
fn pairs(flags: &[String]) -> HashMap<String, String> {
    flags
        .iter()
        .map(|flag| match flag.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (flag.clone(), String::new()),
        })
        .collect()
}

/// Nothing, when there is nothing: the engine then takes its default.
fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, FromArgMatches};

    fn wanted(line: &str) -> Result<Wanted, Failure> {
        let command = ContainerOptions::augment_args(Command::new("run").disable_help_flag(true));
        let matches = crate::cli::as_go(command)
            .try_get_matches_from(line.split(' '))
            .map_err(|error| Failure::new(error.to_string()))?;
        ContainerOptions::from_arg_matches(&matches)
            .map_err(|error| Failure::new(error.to_string()))?
            .translate(Streams::default(), Vec::new())
    }

    fn json(line: &str) -> serde_json::Value {
        let body = wanted(line).expect("options").body;
        serde_json::to_value(body).expect("JSON")
    }

    #[test]
    fn flags_become_the_api_s_fields() {
        let body = json(
            "run -it -e A=b -w /w -u 1:2 -v /a:/b:ro -v /anon --network none -h box --read-only \
             --cap-add SYS_TIME --entrypoint sh -l k=v -p 80:8080 --memory 64m --cpus 1.5 --init \
             --restart on-failure:3 --ulimit nofile=1:2 busybox -c true",
        );
        assert_eq!(body["Image"], "busybox");
        assert_eq!(body["Cmd"], serde_json::json!(["-c", "true"]));
        assert_eq!(body["Entrypoint"], serde_json::json!(["sh"]));
        assert_eq!(body["Env"], serde_json::json!(["A=b"]));
        assert_eq!(body["WorkingDir"], "/w");
        assert_eq!(body["User"], "1:2");
        assert_eq!(body["Hostname"], "box");
        assert_eq!(body["Labels"], serde_json::json!({"k": "v"}));
        assert_eq!(body["Volumes"], serde_json::json!({"/anon": {}}));
        assert_eq!(body["ExposedPorts"], serde_json::json!({"8080/tcp": {}}));
        let host = &body["HostConfig"];
        assert_eq!(host["Binds"], serde_json::json!(["/a:/b:ro"]));
        assert_eq!(host["NetworkMode"], "none");
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["CapAdd"], serde_json::json!(["SYS_TIME"]));
        assert_eq!(host["Memory"], 64 << 20);
        assert_eq!(host["NanoCpus"], 1_500_000_000_u64);
        assert_eq!(host["AutoRemove"], false);
        assert_eq!(json("run --rm busybox")["HostConfig"]["AutoRemove"], true);
        assert_eq!(
            host["Ulimits"],
            serde_json::json!([{"Name": "nofile", "Soft": 1, "Hard": 2}])
        );
        assert_eq!(host["PortBindings"]["8080/tcp"][0]["HostPort"], "80");
    }

    #[test]
    fn what_contradicts_itself_is_refused_before_the_engine_is_asked() {
        for (line, part) in [
            ("run --rm --restart always busybox", "--rm"),
            ("run --memory 1q busybox", "invalid size"),
            ("run --cpus -1 busybox", "CPUs"),
            ("run -v :/x busybox", "invalid volume"),
            ("run -p 1:2:3:4:5 busybox", "invalid port"),
            ("run --network a --network a busybox", "twice"),
            ("run --ulimit nofile busybox", "ulimit"),
            ("run --mount type=bind busybox", "target"),
        ] {
            let Err(failure) = wanted(line) else {
                panic!("{line} was accepted");
            };
            assert!(failure.message().contains(part), "{line}: {failure}");
        }
    }
}
