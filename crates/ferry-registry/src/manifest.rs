//! Indexes and manifests on the wire: resolved, fetched byte-exact, put.

use bytes::Bytes;
use ferry_oci::document::MAX_LEN_BYTES;
use ferry_oci::media_type::{ACCEPTED_MANIFESTS, MediaKind};
use ferry_oci::oci_spec::image::MediaType;
use ferry_oci::{Descriptor, Digest, Document, Reference};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::session::{Attempts, Fetched, Session};
use crate::transport::{Call, Payload};
use crate::{Error, Manifest};

/// The registry's own word for what it serves. Source: distribution-spec `spec.md#pulling-manifests`.
const DIGEST_HEADER: &str = "docker-content-digest";

/// What `reference` names now: by HEAD, or by GET where HEAD does not say enough.
pub(crate) async fn resolve(session: &Session, reference: &Reference) -> Result<Resolved, Error> {
    let call = manifest_call(session, Method::HEAD, &name_of(reference))?;
    let answer = session.send(&call, Attempts::Several).await?;
    if answer.status.is_success()
        && let Some(descriptor) = described(&answer.headers)
        && reference
            .digest()
            .is_none_or(|pinned| Some(*pinned) == digest_of(&descriptor))
    {
        return Ok(Resolved::Descriptor(descriptor));
    }
    drop(answer);
    // GET has a body that says why, and a digest that cannot lie.
    let what = reference.familiar();
    Ok(Resolved::Manifest(
        get(session, &name_of(reference), reference.digest(), &what).await?,
    ))
}

/// The answer of [`resolve`].
#[allow(clippy::large_enum_variant)] // made once an operation; a box would only be in the way
pub(crate) enum Resolved {
    /// Known by its headers alone.
    Descriptor(Descriptor),
    /// Already fetched.
    Manifest(Manifest),
}

/// Fetches the index or manifest `name` (a tag or digest). Its bytes must have the digest
/// `expected`, where there is one, and the digest that the registry's header claims.
pub(crate) async fn get(
    session: &Session,
    name: &str,
    expected: Option<&Digest>,
    what: &str,
) -> Result<Manifest, Error> {
    let call = manifest_call(session, Method::GET, name)?;
    let fetched = session.fetch(&call, MAX_LEN_BYTES).await?;
    if !fetched.status.is_success() {
        return Err(session.refusal_of(fetched, what));
    }
    let Fetched { headers, bytes, .. } = fetched;
    let actual = Digest::of(&bytes);
    let claimed = header_digest(&headers);
    for expected in [expected.copied(), claimed].into_iter().flatten() {
        if expected != actual {
            return Err(Error::DigestMismatch {
                what: format!("manifest of {what}"),
                expected,
                actual,
            });
        }
    }
    let served = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    read(served, bytes, what)
}

/// Parses a manifest's bytes and describes them.
pub(crate) fn read(media_type: &str, bytes: Bytes, what: &str) -> Result<Manifest, Error> {
    let document = Document::parse(media_type, &bytes).map_err(|source| Error::Document {
        what: format!("manifest of {what}"),
        source,
    })?;
    let served = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = match MediaKind::of(served) {
        Some(MediaKind::Index | MediaKind::Manifest) => served.to_owned(),
        _ => document.media_type(),
    };
    let descriptor = Descriptor::new(
        MediaType::from(media_type.as_str()),
        bytes.len() as u64,
        Digest::of(&bytes),
    );
    Ok(Manifest {
        descriptor,
        bytes,
        document,
    })
}

/// Stores a manifest or index under `name`, a tag or its digest.
pub(crate) async fn put(
    session: &Session,
    name: &str,
    descriptor: &Descriptor,
    bytes: Bytes,
    what: &str,
) -> Result<(), Error> {
    let content_type = HeaderValue::from_str(descriptor.media_type().as_ref()).map_err(|_| Error::Descriptor {
        what: what.to_owned(),
        problem: "media type cannot be sent in a header".to_owned(),
    })?;
    let call = Call::new(Method::PUT, session.url(&format!("manifests/{name}"))?)
        .header(CONTENT_TYPE, content_type)
        .payload(Payload::Bytes(bytes));
    let answer = session.send(&call, Attempts::Several).await?;
    if !answer.status.is_success() {
        return Err(session.refusal(answer, what).await);
    }
    match (header_digest(&answer.headers), digest_of(descriptor)) {
        (Some(actual), Some(expected)) if actual != expected => Err(Error::DigestMismatch {
            what: format!("manifest of {what}, as the registry stored it,"),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

/// Whether the registry has the manifest `digest` already.
pub(crate) async fn exists(session: &Session, digest: &Digest) -> Result<Presence, Error> {
    let call = manifest_call(session, Method::HEAD, &digest.to_string())?;
    let answer = session.send(&call, Attempts::Several).await?;
    Ok(match answer.status {
        StatusCode::OK if header_digest(&answer.headers).is_none_or(|found| found == *digest) => Presence::There,
        _ => Presence::Absent,
    })
}

/// Whether a registry has something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    Absent,
}

/// Our digest of a descriptor; `None` for algorithms that are not supported.
pub(crate) fn digest_of(descriptor: &Descriptor) -> Option<Digest> {
    Digest::try_from(descriptor.digest()).ok()
}

/// As [`digest_of`], as an error about the document that holds the descriptor.
pub(crate) fn required_digest(descriptor: &Descriptor, what: &str) -> Result<Digest, Error> {
    Digest::try_from(descriptor.digest()).map_err(|error| Error::Descriptor {
        what: what.to_owned(),
        problem: error.to_string(),
    })
}

/// The digest where the reference pins one, else the tag.
pub(crate) fn name_of(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => "latest".to_owned(),
    }
}

fn manifest_call(session: &Session, method: Method, name: &str) -> Result<Call, Error> {
    let mut call = Call::new(method, session.url(&format!("manifests/{name}"))?);
    // The last one makes registries send what we then refuse by name, such as schema 1.
    for accepted in ACCEPTED_MANIFESTS.iter().chain(&["*/*"]) {
        call = call.header(ACCEPT, HeaderValue::from_static(accepted));
    }
    Ok(call)
}

/// The descriptor that headers alone give, if they give all of it.
fn described(headers: &HeaderMap) -> Option<Descriptor> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let media_type = text("content-type")?.split(';').next()?.trim();
    if !matches!(MediaKind::of(media_type), Some(MediaKind::Index | MediaKind::Manifest)) {
        return None;
    }
    let size: u64 = text("content-length")?.parse().ok()?;
    let digest = header_digest(headers)?;
    (size > 0 && size <= MAX_LEN_BYTES as u64).then(|| Descriptor::new(MediaType::from(media_type), size, digest))
}

fn header_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(DIGEST_HEADER)?.to_str().ok()?.parse().ok()
}
