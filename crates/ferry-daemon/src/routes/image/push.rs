//! `POST /images/{name}/push`.

use axum::response::Response;
use ferry_engine::Engine;
use ferry_oci::Reference;
use http::HeaderMap;
use serde_json::json;

use super::failure;
use super::parameters::{Parameters, reference};
use super::transfer::{Direction, Transfer, line};
use crate::error::ApiError;
use crate::{json_stream, registry_auth};

/// Docker Engine API `ImagePush`. Without `tag`, all tags that the repository has here.
pub(super) async fn push(
    engine: &Engine,
    name: &str,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let repository = reference(name, parameters.get("tag"))?;
    let credentials = registry_auth::for_reference(headers, &repository)?;
    let platforms = parameters.transfer_platforms()?;
    let names = names(engine, name, repository, parameters);
    let engine = engine.clone();
    json_stream::answer(|messages| async move {
        for name in names {
            let repository = name.familiar_name();
            let opening = line(None, format!("The push refers to repository [{repository}]"));
            let transfer = Transfer::new(messages.clone(), Direction::Push, opening);
            let pushed = engine
                .push_image(&name, &platforms, &*credentials, &transfer)
                .await
                .map_err(failure)?;
            transfer.open();
            let tag = name.tag().unwrap_or_default();
            let (digest, size) = (pushed.digest().to_string(), pushed.size());
            let words = format!("{tag}: digest: {digest} size: {size}");
            messages.send(&line(None, words)).await;
            let aux = json!({ "Tag": tag, "Digest": digest, "Size": size });
            messages.send(&json!({ "progressDetail": {}, "aux": aux })).await;
        }
        Ok(())
    })
    .await
}

/// What is meant: the one name, or every tag of a repository of which none is given.
fn names(engine: &Engine, name: &str, reference: Reference, parameters: &Parameters) -> Vec<Reference> {
    let has_tag = name
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':') || name.contains('@'));
    if has_tag || parameters.get("tag").is_some() {
        return vec![reference];
    }
    match engine.tags_of(&reference) {
        // The error about the missing tag names `latest`.
        none if none.is_empty() => vec![reference],
        some => some,
    }
}
