//! `ferry import`: makes an image of a tar of files.

use clap::Args;

use super::reference;
use crate::command::Verb;
use crate::engine::{Body, Progress, full};
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::invocation::Invocation;
use crate::transfer::{self, Output};
use crate::{engine, terminal};

/// `ferry import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Apply a Dockerfile instruction to the image: CMD, ENV, …
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Note for the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// CPU that the files are for: linux/arm64
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Tar, compressed or not; - for stdin; or a URL for the engine to get
    #[arg(value_name = "FILE|URL|-")]
    source: String,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Verb for Import {
    const ABOUT: &'static str = "Make an image of a tar of files";

    async fn run(self, invocation: &Invocation) -> Outcome {
        let name = self.name.as_deref().map(reference).transpose()?;
        let is_url = ["http://", "https://"]
            .iter()
            .any(|scheme| self.source.starts_with(scheme));
        let (from, body) = if is_url {
            (self.source.as_str(), full(Vec::new()))
        } else {
            ("-", file_body(&self.source).await?)
        };
        let request = invocation
            .engine()?
            .post("/images/create")
            .query("fromSrc", from)
            .query_opt("repo", name.as_ref().map(ferry_oci::Reference::name))
            .query_opt("tag", name.as_ref().and_then(|name| name.tag()))
            .query_opt("message", self.message.as_deref())
            .query_opt("platform", self.platform.as_deref());
        let request = self
            .change
            .iter()
            .fold(request, |request, change| request.query("changes", change));
        let lines = request.body("application/x-tar", body).lines::<Progress>().await?;
        let followed = transfer::follow(lines, Output::Quiet).await?;
        if let Some(id) = followed.last_status {
            terminal::say(&id)?;
        }
        Ok(ExitStatus::SUCCESS)
    }
}

/// A file, or stdin for `-`, as the body of a request.
pub(in crate::command) async fn file_body(source: &str) -> Result<Body, Failure> {
    use crate::failure::Explain;
    use tokio_util::io::ReaderStream;
    /// How much is read at once (bytes).
    const CHUNK: usize = 256 << 10;
    if source == "-" {
        if terminal::stdin_is_one() {
            return Err(Failure::new("stdin is a terminal").hint("name a file, or redirect stdin from one"));
        }
        return Ok(engine::streamed(ReaderStream::with_capacity(tokio::io::stdin(), CHUNK)));
    }
    let file = tokio::fs::File::open(source)
        .await
        .explain(|| format!("cannot open {source}"))?;
    Ok(engine::streamed(ReaderStream::with_capacity(file, CHUNK)))
}
