//! Uploads one blob: already there, mounted from another repository, sent whole, or sent in chunks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferry_oci::Digest;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use url::Url;

use super::file_body::{OpenFile, Section, file_body};
use super::meter::Meter;
use crate::manifest::Presence;
use crate::retry::Backoff;
use crate::session::{Attempts, Session};
use crate::transport::{Answer, Call, Payload};
use crate::{Error, LayerProgress, TransportError};

/// Sent at once where a registry wants chunks, unless it wants larger ones.
const CHUNK_LEN_BYTES: u64 = 16 << 20;
/// No chunk is larger, whatever a registry asks for.
const MAX_CHUNK_LEN_BYTES: u64 = 1 << 30;
/// Repositories that are tried as the source of a mount.
const MAX_MOUNT_ATTEMPTS: usize = 2;
/// Connections that may break under a monolithic upload before chunks are tried.
const BROKEN_BEFORE_CHUNKS: u32 = 2;

/// A blob to upload.
pub(crate) struct Upload<'a> {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// Opens its bytes; `None` when the store lacks them.
    pub(crate) open: Option<OpenFile>,
    /// Other repositories of the same registry that may have it.
    pub(crate) sources: &'a [String],
    /// For errors.
    pub(crate) what: String,
}

/// How a blob came to be in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uploaded {
    Sent,
    Mounted,
}

/// Whether the repository has the blob. Source: distribution-spec `spec.md#checking-if-content-exists-in-the-registry`.
pub(crate) async fn presence(session: &Session, digest: &Digest) -> Result<Presence, Error> {
    let call = Call::new(Method::HEAD, session.url(&format!("blobs/{digest}"))?);
    let answer = session.send(&call, Attempts::Several).await?;
    match answer.status {
        status if status.is_success() => Ok(Presence::There),
        // What matters is whether the upload is accepted; it gives the registry's words if not.
        _ => Ok(Presence::Absent),
    }
}

/// Brings a blob that the repository lacks into it.
pub(crate) async fn upload(session: &Session, blob: &Upload<'_>, meter: &mut Meter<'_>) -> Result<Uploaded, Error> {
    for source in blob.sources.iter().take(MAX_MOUNT_ATTEMPTS) {
        if mount(session, blob, source).await? == Mount::Done {
            return Ok(Uploaded::Mounted);
        }
    }
    let Some(open) = &blob.open else {
        return Err(Error::MissingBlob {
            what: blob.what.clone(),
            registry: session.registry.domain.clone(),
        });
    };
    let mut backoff = Backoff::new(session.shared.config.retry);
    let mut way = Way::Whole;
    let mut broken = 0;
    loop {
        let failure = match send_once(session, blob, open, way, meter).await {
            Ok(()) => return Ok(Uploaded::Sent),
            Err(error) => error,
        };
        way = match &failure {
            Error::Status { status, .. } if wants_chunks(*status) && way == Way::Whole => {
                way = Way::Chunks;
                continue;
            }
            // A proxy that limits bodies may just hang up.
            Error::Transport {
                cause: TransportError::Broken(_),
                ..
            } if way == Way::Whole => {
                broken += 1;
                if broken >= BROKEN_BEFORE_CHUNKS {
                    Way::Chunks
                } else {
                    Way::Whole
                }
            }
            _ => way,
        };
        if !is_worth_another(session, &failure) {
            return Err(failure);
        }
        let Some(pause) = backoff.pause(None) else {
            return Err(failure);
        };
        tracing::debug!(error = %failure, ?pause, "upload interrupted");
        meter.state(LayerProgress::Retrying);
        tokio::time::sleep(pause).await;
    }
}

/// How the bytes go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// POST, then one PUT.
    Whole,
    /// POST, PATCH for each chunk, PUT.
    Chunks,
}

/// Refusals of one large body that smaller ones may avoid.
fn wants_chunks(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED
            | StatusCode::LENGTH_REQUIRED
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mount {
    Done,
    Refused,
}

/// Source: distribution-spec `spec.md#mounting-a-blob-from-another-repository`.
async fn mount(session: &Session, blob: &Upload<'_>, source: &str) -> Result<Mount, Error> {
    let mut url = session.url("blobs/uploads/")?;
    url.query_pairs_mut()
        .append_pair("mount", &blob.digest.to_string())
        .append_pair("from", source);
    let scopes = session.scopes().clone().and_mount_from(source);
    let call = Call::new(Method::POST, url.clone());
    // A mount is a short cut: whatever goes wrong with it, the upload itself will tell.
    let Ok(answer) = session.send_scoped(&call, &scopes, Attempts::Several).await else {
        return Ok(Mount::Refused);
    };
    if answer.status == StatusCode::CREATED {
        return Ok(Mount::Done);
    }
    if answer.status == StatusCode::ACCEPTED
        && let Ok(location) = session.location(&answer, &url)
    {
        // The registry has begun an upload instead; it is not needed.
        let _ = session.send(&Call::new(Method::DELETE, location), Attempts::One).await;
    }
    Ok(Mount::Refused)
}

async fn send_once(
    session: &Session,
    blob: &Upload<'_>,
    open: &OpenFile,
    way: Way,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let begin = Call::new(Method::POST, session.url("blobs/uploads/")?);
    let answer = session.send(&begin, Attempts::Several).await?;
    if answer.status != StatusCode::ACCEPTED {
        return Err(session.refusal(answer, &blob.what).await);
    }
    let location = session.location(&answer, &begin.url)?;
    let asked_chunk: Option<u64> = answer
        .text("oci-chunk-min-length")
        .and_then(|length| length.parse().ok());
    drop(answer);
    meter.at(0);
    match way {
        Way::Whole => {
            let whole = Section {
                start: 0,
                length: blob.size,
            };
            finish(session, blob, location, Some((open, whole)), meter).await
        }
        Way::Chunks => {
            let chunk = asked_chunk.unwrap_or(0).clamp(CHUNK_LEN_BYTES, MAX_CHUNK_LEN_BYTES);
            let location = send_chunks(session, blob, open, location, chunk, meter).await?;
            finish(session, blob, location, None, meter).await
        }
    }
}

/// The PUT that ends an upload, with the bytes or after them.
async fn finish(
    session: &Session,
    blob: &Upload<'_>,
    location: Url,
    bytes: Option<(&OpenFile, Section)>,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let mut url = location;
    url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
    let call = Call::new(Method::PUT, url);
    let answer = match bytes {
        Some((open, section)) => send_section(session, call, open, section, meter).await?,
        None => session.send(&call, Attempts::One).await?,
    };
    match answer.status {
        StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::ACCEPTED => {
            meter.at(blob.size);
            Ok(())
        }
        _ => Err(upload_refusal(session, answer, &blob.what).await),
    }
}

/// Source: distribution-spec `spec.md#pushing-a-blob-in-chunks`.
async fn send_chunks(
    session: &Session,
    blob: &Upload<'_>,
    open: &OpenFile,
    mut location: Url,
    chunk: u64,
    meter: &mut Meter<'_>,
) -> Result<Url, Error> {
    let mut start = 0;
    while start < blob.size {
        let section = Section {
            start,
            length: chunk.min(blob.size - start),
        };
        let last = section.start + section.length - 1;
        let range = HeaderValue::try_from(format!("{start}-{last}"));
        let call = Call::new(Method::PATCH, location.clone())
            .header(CONTENT_RANGE, range.unwrap_or(HeaderValue::from_static("0-0")));
        let answer = send_section(session, call, open, section, meter).await?;
        if !answer.status.is_success() {
            return Err(upload_refusal(session, answer, &blob.what).await);
        }
        location = session.location(&answer, &location)?;
        start += section.length;
    }
    Ok(location)
}

/// Sends a part of the blob once, and reports while it goes.
async fn send_section(
    session: &Session,
    call: Call,
    open: &OpenFile,
    section: Section,
    meter: &mut Meter<'_>,
) -> Result<Answer, Error> {
    const TICK: Duration = Duration::from_millis(200);
    let sent = Arc::new(AtomicU64::new(0));
    let (counter, open) = (Arc::clone(&sent), Arc::clone(open));
    let call = call
        .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .payload(Payload::Stream(Arc::new(move || {
            counter.store(0, Ordering::Relaxed);
            file_body(Arc::clone(&open), section, Arc::clone(&counter))
        })));
    let sending = session.send(&call, Attempts::One);
    tokio::pin!(sending);
    loop {
        match tokio::time::timeout(TICK, &mut sending).await {
            Ok(answer) => return answer,
            Err(_) => meter.at(section.start + sent.load(Ordering::Relaxed)),
        }
    }
}

/// A refusal in the middle of an upload: 404 means that the registry has forgotten the upload, not
/// that an image is missing.
async fn upload_refusal(session: &Session, answer: Answer, what: &str) -> Error {
    let (request, status) = (answer.line.clone(), answer.status);
    match session.refusal(answer, what).await {
        Error::NotFound { .. } => Error::Status {
            request,
            status,
            detail: "upload unknown".to_owned(),
        },
        error => error,
    }
}

/// Whether to begin the upload anew.
fn is_worth_another(session: &Session, failure: &Error) -> bool {
    session.is_passing(failure)
        || matches!(
            failure,
            Error::Status {
                status: StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE,
                ..
            }
        )
}
