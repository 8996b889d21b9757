//! Pull, push, load and import as a person sees them: bars on a terminal, plain lines elsewhere.

mod bars;
mod plain;

use ferry_oci::Reference;
use serde_json::Value;

use crate::engine::{Lines, Progress};
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::terminal;

use bars::Bars;
use plain::Plain;

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// On stdout, as the command's own output.
    Stdout,
    /// On stderr, beside what the command is about.
    Stderr,
    /// Nowhere.
    Quiet,
}

/// What a stream said for programs.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The `aux` values, in order.
    pub(crate) aux: Vec<Value>,
    /// The last `status` without an ID.
    pub(crate) last_status: Option<String>,
    /// The texts of `stream` messages.
    pub(crate) streamed: Vec<String>,
}

/// Shows a progress stream to its end. Its last message may be a failure.
pub(crate) async fn follow(mut lines: Lines<Progress>, output: Output) -> Result<Followed, Failure> {
    let is_terminal = match output {
        Output::Stdout => terminal::stdout_is_one(),
        Output::Stderr => terminal::stderr_is_one(),
        Output::Quiet => false,
    };
    let mut bars = is_terminal.then(|| Bars::new(output));
    let mut plain = Plain::new(output);
    let mut followed = Followed::default();
    while let Some(message) = lines.next().await? {
        if let Some(reason) = message.failure() {
            if let Some(bars) = &mut bars {
                bars.abandon();
            }
            return Err(failure_of(reason));
        }
        match &mut bars {
            Some(bars) => bars.show(&message),
            None => plain.show(&message),
        }
        if message.id.is_none()
            && let Some(status) = message.status
        {
            followed.last_status = Some(status);
        }
        followed.streamed.extend(message.stream);
        followed.aux.extend(message.aux);
    }
    if let Some(bars) = &mut bars {
        bars.finish();
    }
    Ok(followed)
}

/// The engine's words, with its hint apart.
fn failure_of(reason: &str) -> Failure {
    match reason.split_once("\nhint: ") {
        Some((message, hint)) => Failure::new(message).hint(hint),
        None => Failure::new(reason),
    }
}

/// Which of an image's platforms are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Platforms {
    /// The best that can run here.
    Best,
    /// These, as the user wrote them.
    Named(String),
    /// Each one that the image has.
    All,
}

/// Pulls one platform of an image for a container: the named one, or the best.
pub(crate) async fn pull(
    invocation: &Invocation,
    image: &Reference,
    platform: Option<&str>,
    output: Output,
) -> Result<Followed, Failure> {
    let platforms = platform.map_or(Platforms::Best, |platform| Platforms::Named(platform.to_owned()));
    pull_platforms(invocation, image, &platforms, output).await
}

/// Pulls an image.
pub(crate) async fn pull_platforms(
    invocation: &Invocation,
    image: &Reference,
    platforms: &Platforms,
    output: Output,
) -> Result<Followed, Failure> {
    let (name, tag) = name_and_tag(image);
    let request = invocation
        .engine()?
        .post("/images/create")
        .query("fromImage", name)
        .query("tag", tag)
        .header("x-registry-auth", &invocation.registry_auth(image)?);
    let request = match platforms {
        Platforms::Best => request,
        Platforms::Named(named) => request.query("platform", named),
        Platforms::All => request.query("allPlatforms", "1"),
    };
    let lines = request.lines().await?;
    follow(lines, output).await
}

/// A reference in the two halves that the API takes; a digest goes where a tag goes.
pub(crate) fn name_and_tag(image: &Reference) -> (String, String) {
    let tag = match (image.digest(), image.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => "latest".to_owned(),
    };
    (image.name(), tag)
}

/// A platform as the API's newer parameters take it: `{"os":…,"architecture":…}`.
pub(crate) fn platform_json(text: &str) -> Result<String, Failure> {
    use crate::failure::Explain;
    let platform: ferry_oci::Platform = text.parse().explain(|| format!("cannot use the platform {text:?}"))?;
    // Strings only: cannot fail.
    Ok(serde_json::to_string(&platform).unwrap_or_default())
}
