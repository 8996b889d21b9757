//! `ferry save`: writes images to an archive.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::command::Verb;
use crate::failure::{ExitStatus, Explain, Failure, Outcome};
use crate::invocation::Invocation;
use crate::{terminal, transfer};

/// `ferry save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Archive to write instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the image of these CPUs alone: linux/arm64
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Verb for Save {
    const ABOUT: &'static str = "Write images to an archive";

    async fn run(self, invocation: &Invocation) -> Outcome {
        refuse_terminal(self.output.as_deref(), "save")?;
        let mut request = invocation.engine()?.get("/images/get");
        for image in &self.images {
            request = request.query("names", image);
        }
        for platform in &self.platform {
            request = request.query("platform", transfer::platform_json(platform)?);
        }
        write(request.stream().await?.into_body(), self.output.as_deref()).await?;
        Ok(ExitStatus::SUCCESS)
    }
}

/// An archive for nobody but a terminal is a mistake.
pub(in crate::command) fn refuse_terminal(output: Option<&Path>, command: &str) -> Result<(), Failure> {
    if output.is_none() && terminal::stdout_is_one() {
        return Err(Failure::new("an archive is not for a terminal").hint(format!(
            "write it to a file: ferry {command} -o FILE, or redirect stdout"
        )));
    }
    Ok(())
}

/// Writes an archive to a file, or to stdout.
pub(in crate::command) async fn write(body: Incoming, output: Option<&Path>) -> Result<(), Failure> {
    match output {
        Some(file) => to_file(body, file).await,
        None => copy(body, &mut io::stdout().lock())
            .await
            .map_err(|failure| failure.while_doing("cannot write the archive")),
    }
}

/// Writes beside the file and renames, so that a half archive never has its name.
async fn to_file(body: Incoming, file: &Path) -> Result<(), Failure> {
    let failed = |failure: Failure| failure.while_doing(format!("cannot write {}", file.display()));
    let is_plain = std::fs::metadata(file).map_or(true, |metadata| metadata.is_file());
    if !is_plain {
        // A device or a pipe is written to as it is.
        let mut out = std::fs::OpenOptions::new()
            .write(true)
            .open(file)
            .explain(|| format!("cannot open {}", file.display()))?;
        return copy(body, &mut out).await.map_err(failed);
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = file.with_file_name(name);
    let mut out = std::fs::File::create(&partial).explain(|| format!("cannot create {}", partial.display()))?;
    let written = copy(body, &mut out).await;
    let done = written.and_then(|()| std::fs::rename(&partial, file).explain(|| "cannot rename it"));
    done.map_err(|failure| {
        let _ = std::fs::remove_file(&partial);
        failed(failure)
    })
}

async fn copy(mut body: Incoming, out: &mut impl Write) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.explain(|| "the engine's archive broke off")?;
        if let Ok(data) = frame.into_data() {
            out.write_all(&data).explain(|| "writing")?;
        }
    }
    out.flush().explain(|| "writing")
}
