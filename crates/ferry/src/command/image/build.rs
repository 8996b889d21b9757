//! `ferry build`: builds an image from a Dockerfile, for one CPU or many.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use ferry_oci::{Platform, cpu};

use super::reference;
use crate::build::progress::{Display, Style};
use crate::build::request::{BuildRequest, Cache, Pull, Push, Source};
use crate::build::{self, Built, Secret};
use crate::command::Verb;
use crate::config::Config;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::terminal;

/// Largest Dockerfile that is read from stdin (bytes).
const LARGEST_DOCKERFILE: u64 = 16 << 20;

/// `ferry build`.
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Name of the image
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Vec<String>,
    /// Dockerfile; - for stdin [default: Dockerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// CPUs to build for: linux/amd64,linux/arm64; all for every one that Ferry knows
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
    /// Set a build argument
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Use nothing of the cache
    #[arg(long)]
    no_cache: bool,
    /// Use nothing of the cache for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    no_cache_filter: Vec<String>,
    /// Look base images up again
    #[arg(long)]
    pull: bool,
    /// Set a label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// How progress is shown
    #[arg(
        long,
        value_name = "STYLE",
        env = "BUILDKIT_PROGRESS",
        hide_env = true,
        default_value = "auto"
    )]
    progress: Style,
    /// Show nothing and print the image's ID
    #[arg(short, long)]
    quiet: bool,
    /// Write the image's ID to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write what is known of the result to a file
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
    /// Network of RUN steps: default, host, none
    #[arg(long, value_name = "MODE")]
    network: Option<String>,
    /// Add a line to /etc/hosts of RUN steps
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// Offer a secret to RUN steps: id=NAME,src=FILE
    #[arg(long, value_name = "SECRET")]
    secret: Vec<Secret>,
    /// Size of /dev/shm of RUN steps
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// Limit of RUN steps: nofile=1024:4096
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Parent of the cgroups of RUN steps
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Keep the result in the engine; it always is
    #[arg(long)]
    load: bool,
    /// Push the result
    #[arg(long)]
    push: bool,
    /// Remove intermediate containers; there are none
    #[arg(long, hide = true)]
    rm: bool,
    /// As --rm
    #[arg(long, hide = true)]
    force_rm: bool,
    /// Folder with the files of the build; - for a Dockerfile on stdin; or a URL
    #[arg(value_name = "PATH|URL|-")]
    context: String,
}

impl Verb for Build {
    const ABOUT: &'static str = "Build an image from a Dockerfile, for one CPU or many";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let request = self.request(invocation)?;
        let style = if self.quiet { Style::Quiet } else { self.progress };
        let mut display = Display::new(style);
        let config = Config::read(&invocation.config_folder()).explain(|| "cannot use Docker's settings")?;
        let engine = invocation.engine()?;
        let built = tokio::select! {
            built = build::build(engine, &request, config, &mut display) => built?,
            // Closing our connections ends the build.
            signal = interrupted() => return Err(Failure::new("the build was interrupted").exit(ExitStatus::of_signal(signal))),
        };
        self.tell(&built)?;
        Ok(ExitStatus::SUCCESS)
    }
}

async fn interrupted() -> u8 {
    match crate::stream::Signals::catch() {
        Ok(mut signals) => loop {
            let (number, name) = signals.next().await;
            if matches!(name, "INT" | "TERM" | "HUP" | "QUIT") {
                return number;
            }
        },
        // The signals then end the process themselves.
        Err(_) => std::future::pending().await,
    }
}

impl Build {
    fn request(&self, invocation: &Invocation) -> Result<BuildRequest, Failure> {
        let tags = self
            .tag
            .iter()
            .map(|tag| reference(tag))
            .collect::<Result<Vec<_>, _>>()?;
        let mut arguments = arguments(&self.build_arg, |name| std::env::var(name).ok());
        let proxies = invocation
            .config()?
            .proxies(&invocation.engine()?.address().to_string());
        for (name, value) in proxies {
            arguments.entry(name).or_insert(value);
        }
        let mut limits = BTreeMap::new();
        if let Some(size) = &self.shm_size {
            let bytes = crate::format::size::parse_binary(size).explain(|| "cannot use --shm-size")?;
            limits.insert("shm-size", bytes.to_string());
        }
        if !self.ulimit.is_empty() {
            limits.insert("ulimit", self.ulimit.join(","));
        }
        if let Some(parent) = &self.cgroup_parent {
            limits.insert("cgroup-parent", parent.clone());
        }
        Ok(BuildRequest {
            source: self.source()?,
            tags,
            platforms: platforms(&self.platform)?,
            arguments,
            labels: pairs(&self.label),
            target: self.target.clone(),
            cache: match (self.no_cache, self.no_cache_filter.as_slice()) {
                (true, _) => Cache::None,
                (false, []) => Cache::All,
                (false, stages) => Cache::Except(stages.to_vec()),
            },
            pull: if self.pull { Pull::Always } else { Pull::Missing },
            push: if self.push { Push::Yes } else { Push::No },
            network: self.network.clone().filter(|mode| mode != "default"),
            hosts: self
                .add_host
                .iter()
                .map(|host| read_host(host))
                .collect::<Result<_, _>>()?,
            secrets: self.secret.clone(),
            limits,
        })
    }

    /// Where the files are. A Dockerfile that is named is relative to the working directory, as Docker has it.
    fn source(&self) -> Result<Source, Failure> {
        let name = |file: Option<&str>| file.unwrap_or("Dockerfile").to_owned();
        if is_remote(&self.context) {
            return Ok(Source::Remote {
                url: self.context.clone(),
                name: name(self.file.as_deref()),
            });
        }
        let from_stdin = self.file.as_deref() == Some("-");
        if self.context == "-" {
            if self.file.is_some() {
                return Err(
                    Failure::new("the context and the Dockerfile cannot both be taken apart from stdin")
                        .hint("with - as the context, stdin is the Dockerfile: leave -f out"),
                );
            }
            return Ok(Source::Text {
                context: None,
                dockerfile: stdin()?,
            });
        }
        let context = PathBuf::from(&self.context);
        let is_folder = std::fs::metadata(&context)
            .explain(|| format!("cannot use the build context {}", context.display()))?
            .is_dir();
        if !is_folder {
            return Err(
                Failure::new(format!("the build context {} is no folder", context.display()))
                    .hint("give the folder, and the Dockerfile by -f"),
            );
        }
        if from_stdin {
            return Ok(Source::Text {
                context: Some(context),
                dockerfile: stdin()?,
            });
        }
        let file = match &self.file {
            Some(file) => PathBuf::from(file),
            None => default_file(&context),
        };
        if !file.is_file() {
            let failure = Failure::new(format!("no Dockerfile at {}", file.display()));
            return Err(match self.file {
                Some(_) => failure,
                None => failure.hint("name it by -f"),
            });
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return Err(Failure::new(format!("the name of {} is not UTF-8", file.display())));
        };
        Ok(Source::Folders {
            context,
            dockerfile: folder.unwrap_or(Path::new(".")).to_owned(),
            name: name.to_owned(),
        })
    }

    /// Prints and writes what was asked for of the result.
    fn tell(&self, built: &Built) -> Result<(), Failure> {
        if let Some(file) = &self.iidfile {
            std::fs::write(file, built.image_id().unwrap_or_default())
                .explain(|| format!("cannot write {}", file.display()))?;
        }
        if let Some(file) = &self.metadata_file {
            let text = format!("{:#}\n", built.metadata());
            std::fs::write(file, text).explain(|| format!("cannot write {}", file.display()))?;
        }
        if self.quiet
            && let Some(id) = built.image_id()
        {
            terminal::say(id)?;
        }
        Ok(())
    }
}

/// `Dockerfile`, or `dockerfile` where there is only that, as Docker has it.
fn default_file(context: &Path) -> PathBuf {
    let file = context.join("Dockerfile");
    let lower = context.join("dockerfile");
    if !file.exists() && lower.exists() { lower } else { file }
}

/// What the engine gets itself.
fn is_remote(context: &str) -> bool {
    ["http://", "https://", "git://", "git@", "ssh://", "github.com/"]
        .iter()
        .any(|prefix| context.starts_with(prefix))
}

fn stdin() -> Result<Vec<u8>, Failure> {
    if terminal::stdin_is_one() {
        return Err(Failure::new(
            "the Dockerfile is to come from stdin, and stdin is a terminal",
        ));
    }
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST_DOCKERFILE + 1)
        .read_to_end(&mut text)
        .explain(|| "cannot read the Dockerfile from stdin")?;
    let is_tar = text.get(257..262) == Some(b"ustar") || text.starts_with(&[0x1f, 0x8b]);
    if is_tar {
        return Err(
            Failure::new("stdin is an archive: a context in an archive is not supported")
                .hint("unpack it and give the folder"),
        );
    }
    if text.len() as u64 > LARGEST_DOCKERFILE {
        return Err(Failure::new("the Dockerfile on stdin is too large"));
    }
    Ok(text)
}

/// `name=value`; a name alone takes its value from here, and is left out where it has none.
fn arguments(flags: &[String], lookup: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    const EPOCH: &str = "SOURCE_DATE_EPOCH";
    let mut arguments: BTreeMap<String, String> = flags
        .iter()
        .filter_map(|flag| match flag.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((flag.clone(), lookup(flag)?)),
        })
        .collect();
    // As buildx has it: the variable of the environment is meant for the build.
    if !arguments.contains_key(EPOCH)
        && let Some(epoch) = lookup(EPOCH).filter(|epoch| !epoch.is_empty())
    {
        arguments.insert(EPOCH.to_owned(), epoch);
    }
    arguments
}

fn pairs(flags: &[String]) -> BTreeMap<String, String> {
    flags
        .iter()
        .map(|flag| {
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// `name:address` or `name=address`, as the frontend takes it.
fn read_host(text: &str) -> Result<String, Failure> {
    match text.split_once('=').or_else(|| text.split_once(':')) {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => Ok(format!("{name}={address}")),
        _ => Err(Failure::new(format!("invalid host {text:?}: expected NAME:ADDRESS"))),
    }
}

fn platforms(flags: &[String]) -> Result<Vec<Platform>, Failure> {
    let mut platforms: Vec<Platform> = Vec::new();
    for flag in flags.iter().map(|flag| flag.trim()).filter(|flag| !flag.is_empty()) {
        let named = match flag {
            "all" => cpu::ALL.iter().map(cpu::Cpu::platform).collect(),
            "local" => vec![Platform::host()],
            flag => vec![flag.parse().explain(|| format!("cannot build for {flag:?}"))?],
        };
        for platform in named {
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
    }
    Ok(platforms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_once_and_all_means_all() {
        let shown = |flags: &[&str]| -> Vec<String> {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let platforms = platforms(&flags).expect("platforms");
            platforms.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown(&["linux/arm64", "linux/aarch64", "linux/amd64"]),
            ["linux/arm64", "linux/amd64"]
        );
        assert_eq!(shown(&["all"]).len(), cpu::ALL.len());
        assert!(shown(&[]).is_empty());
        assert!(platforms(&["a/b/c/d/e".to_owned()]).is_err());
    }

    #[test]
    fn arguments_take_values_from_here_where_they_have_none() {
        let lookup = |name: &str| match name {
            "HERE" => Some("1".to_owned()),
            "SOURCE_DATE_EPOCH" => Some("7".to_owned()),
            _ => None,
        };
        let flags = ["A=b=c".to_owned(), "HERE".to_owned(), "GONE".to_owned()];
        let found: Vec<String> = arguments(&flags, lookup)
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(found, ["A=b=c", "HERE=1", "SOURCE_DATE_EPOCH=7"]);
    }
}
