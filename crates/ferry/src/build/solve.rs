//! Runs one build: session, solve and status side by side, until the engine has a result.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{SolveResponse, StatusRequest, StatusResponse};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::progress::Display;
use super::request::BuildRequest;
use super::session::{Offer, Session};
use super::{channel, failure, identity};
use crate::config::Config;
use crate::engine::Engine;
use crate::failure::Failure;

/// How long the last messages about progress are waited for once there is a result.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Between two looks at the clock of running steps.
const TICK: Duration = Duration::from_millis(100);

/// What a build gave.
#[derive(Debug)]
pub(crate) struct Built {
    /// The exporter's answer: `containerimage.digest` and so on.
    pub(crate) answer: BTreeMap<String, String>,
}

impl Built {
    /// The image's ID: of its config where there is one, or else the digest of its index.
    pub(crate) fn image_id(&self) -> Option<&str> {
        ["containerimage.config.digest", "containerimage.digest"]
            .iter()
            .find_map(|key| self.answer.get(*key))
            .map(String::as_str)
    }

    /// The answer for `--metadata-file`: values that are JSON in base64 are shown as JSON.
    pub(crate) fn metadata(&self) -> Value {
        let read = |text: &str| -> Option<Value> {
            let value: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        self.answer
            .iter()
            .map(|(key, text)| (key.clone(), read(text).unwrap_or_else(|| Value::from(text.as_str()))))
            .collect()
    }
}

/// Builds.
pub(crate) async fn build(
    engine: &Engine,
    request: &BuildRequest,
    config: Config,
    display: &mut Display,
) -> Result<Built, Failure> {
    let offer = Offer {
        folders: request.folders(),
        dockerfile: request.dockerfile(),
        secrets: request.secrets.clone(),
        config,
    };
    let (session, channel) = tokio::try_join!(Session::open(engine, offer), channel::open(engine))?;
    let control = ControlClient::new(channel)
        .max_decoding_message_size(channel::LARGEST_MESSAGE)
        .max_encoding_message_size(channel::LARGEST_MESSAGE);
    let id = identity::new();
    let solved = run(control, request, &id, &session, display).await;
    display.finish();
    match solved {
        Ok(response) => Ok(Built {
            answer: response.into_inner().exporter_response.into_iter().collect(),
        }),
        Err(status) => Err(failure::explain(&status, display)),
    }
}

async fn run(
    control: ControlClient<Channel>,
    request: &BuildRequest,
    id: &str,
    session: &Session,
    display: &mut Display,
) -> Result<Response<SolveResponse>, Status> {
    let mut solver = control.clone();
    let mut solving = std::pin::pin!(solver.solve(request.solve(id, session.id())));
    let mut watcher = control;
    let mut status = Watched::Asking;
    let mut asking = std::pin::pin!(watcher.status(StatusRequest { r#ref: id.to_owned() }));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let result = loop {
        tokio::select! {
            result = &mut solving => break result,
            answer = &mut asking, if matches!(status, Watched::Asking) => {
                // Without progress the result still comes.
                status = answer.map_or(Watched::Ended, |answer| Watched::Streaming(Box::new(answer.into_inner())));
            }
            update = status.next() => match update {
                Some(update) => display.update(&update),
                None => status = Watched::Ended,
            },
            _ = tick.tick() => display.tick(),
        }
    };
    let limit = Instant::now() + LAST_WORDS;
    if matches!(status, Watched::Asking)
        && let Ok(Ok(answer)) = timeout_at(limit, &mut asking).await
    {
        status = Watched::Streaming(Box::new(answer.into_inner()));
    }
    while let Watched::Streaming(_) = status {
        match timeout_at(limit, status.next()).await {
            Ok(Some(update)) => display.update(&update),
            _ => break,
        }
    }
    result
}

/// The stream of progress.
enum Watched {
    Asking,
    Streaming(Box<Streaming<StatusResponse>>),
    Ended,
}

impl Watched {
    /// The next message; none at the end. Waits for ever while there is no stream.
    async fn next(&mut self) -> Option<StatusResponse> {
        match self {
            Self::Streaming(stream) => stream.message().await.unwrap_or_default(),
            Self::Asking | Self::Ended => std::future::pending().await,
        }
    }
}
