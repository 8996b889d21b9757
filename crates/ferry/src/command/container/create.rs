//! `ferry create`: makes a container without starting it, pulling its image if it is missing.

use std::path::Path;

use bollard_stubs::models::ContainerCreateResponse;
use clap::{ArgAction, Args, Command};
use ferry_oci::Reference;
use http::StatusCode;

use super::options::{ContainerOptions, PullPolicy, Streams, Wanted};
use crate::command::Verb;
use crate::engine::{self, Engine};
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::{terminal, transfer};

/// `ferry create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    options: ContainerOptions,
}

impl Verb for Create {
    const ABOUT: &'static str = "Make a container without starting it";
    const USAGE_STATUS: ExitStatus = ExitStatus::ENGINE;

    async fn run(self, invocation: &Invocation) -> Outcome {
        let streams = Streams {
            stdin: self.options.process.interactive,
            stdout: true,
            stderr: true,
        };
        let proxies = proxies(invocation)?;
        let wanted = self
            .options
            .translate(streams, proxies)
            .map_err(|failure| failure.exit(ExitStatus::ENGINE))?;
        let id = create(invocation, wanted).await?;
        terminal::say(&id)?;
        Ok(ExitStatus::SUCCESS)
    }

    fn adjust(command: Command) -> Command {
        own_help(command, "[OPTIONS] IMAGE [COMMAND] [ARG...]")
    }
}

/// `-h` is the host name here, so that help has its long flag only.
pub(super) fn own_help(command: Command, usage: &str) -> Command {
    let usage = format!("ferry {} {usage}", command.get_name());
    command.override_usage(usage).disable_help_flag(true).arg(
        clap::Arg::new("help")
            .long("help")
            .action(ArgAction::Help)
            .help("Print this"),
    )
}

/// The proxies that config.json has containers told of.
pub(super) fn proxies(invocation: &Invocation) -> Result<Vec<(String, String)>, Failure> {
    let address = invocation.engine()?.address().to_string();
    Ok(invocation.config()?.proxies(&address))
}

/// Makes the container and gives its ID. Failures have the engine's exit status.
pub(super) async fn create(invocation: &Invocation, wanted: Wanted) -> Result<String, Failure> {
    make(invocation, wanted)
        .await
        .map_err(|failure| failure.exit(ExitStatus::ENGINE))
}

async fn make(invocation: &Invocation, wanted: Wanted) -> Result<String, Failure> {
    let engine = invocation.engine()?;
    if wanted.pull == PullPolicy::Always {
        pull(invocation, &wanted).await?;
    }
    let created = match ask(engine, &wanted).await {
        Err(error) if is_missing_image(&error) => match wanted.pull {
            PullPolicy::Missing => {
                if !wanted.quiet {
                    terminal::note(&format!("Unable to find image '{}' locally", wanted.image));
                }
                pull(invocation, &wanted).await?;
                ask(engine, &wanted).await?
            }
            PullPolicy::Always => return Err(error.into()),
            PullPolicy::Never => {
                return Err(Failure::from(error).hint(format!("pull it first: ferry pull {}", wanted.image)));
            }
        },
        other => other?,
    };
    for warning in &created.warnings {
        terminal::note(&format!("WARNING: {warning}"));
    }
    if let Some(file) = &wanted.cidfile {
        write_id(file, &created.id)?;
    }
    Ok(created.id)
}

async fn ask(engine: &Engine, wanted: &Wanted) -> Result<ContainerCreateResponse, engine::Error> {
    engine
        .post("/containers/create")
        .query_opt("name", wanted.name.as_deref())
        .query_opt("platform", wanted.platform.as_deref())
        .json_body(&wanted.body)
        .json()
        .await
}

/// 404 on create means an image; other things that are missing are named in the message.
fn is_missing_image(error: &engine::Error) -> bool {
    let engine::Error::Refused { status, message } = error else {
        return false;
    };
    let words = message.to_ascii_lowercase();
    *status == StatusCode::NOT_FOUND && (words.contains("no such image") || words.contains("image not known"))
}

async fn pull(invocation: &Invocation, wanted: &Wanted) -> Result<(), Failure> {
    let image: Reference = wanted
        .image
        .parse()
        .explain(|| format!("cannot pull {}", wanted.image))?;
    let output = if wanted.quiet {
        transfer::Output::Quiet
    } else {
        transfer::Output::Stderr
    };
    transfer::pull(invocation, &image, wanted.platform.as_deref(), output).await?;
    Ok(())
}

fn write_id(file: &Path, id: &str) -> Result<(), Failure> {
    std::fs::write(file, id).explain(|| format!("cannot write the container ID to {}", file.display()))
}
