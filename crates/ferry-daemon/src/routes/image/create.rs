//! `POST /images/create`: pulls an image, or makes one of a tar.

use axum::extract::{Request, State};
use axum::response::Response;
use ferry_engine::Engine;
use ferry_engine::image::{ImportOptions, Novelty};
use ferry_oci::Reference;
use http::HeaderMap;

use super::failure;
use super::parameters::{Parameters, reference};
use super::transfer::{Direction, Transfer, line};
use crate::blocking_body::BodyReader;
use crate::error::ApiError;
use crate::{json_stream, registry_auth};

/// Docker Engine API `ImageCreate`.
pub(super) async fn create(
    State(engine): State<Engine>,
    parameters: Parameters,
    request: Request,
) -> Result<Response, ApiError> {
    match (parameters.get("fromImage"), parameters.get("fromSrc")) {
        (Some(name), _) => pull(engine, name, &parameters, request.headers()).await,
        (None, Some("-")) => import(engine, &parameters, request).await,
        (None, Some(source)) => Err(ApiError::not_implemented(format!(
            "importing from {source} is not supported; send the tar itself: fromSrc=-"
        ))),
        (None, None) => Err(ApiError::bad_request("fromImage or fromSrc is needed")),
    }
}

/// A name without a tag means `latest`: pulling all tags of a repository is not supported.
async fn pull(engine: Engine, name: &str, parameters: &Parameters, headers: &HeaderMap) -> Result<Response, ApiError> {
    let reference = reference(name, parameters.get("tag"))?;
    let credentials = registry_auth::for_reference(headers, &reference)?;
    let platforms = parameters.transfer_platforms()?;
    json_stream::answer(|messages| async move {
        let opening = line(
            Some(&tag_or_digest(&reference)),
            format!("Pulling from {}", reference.path()),
        );
        let transfer = Transfer::new(messages.clone(), Direction::Pull, opening);
        let pulled = engine
            .pull_image(&reference, &platforms, &*credentials, &transfer)
            .await
            .map_err(failure)?;
        transfer.open();
        messages
            .send(&line(None, format!("Digest: {}", pulled.target.digest())))
            .await;
        let name = reference.familiar();
        let words = match pulled.novelty {
            Novelty::Newer => format!("Status: Downloaded newer image for {name}"),
            Novelty::UpToDate => format!("Status: Image is up to date for {name}"),
        };
        messages.send(&line(None, words)).await;
        Ok(())
    })
    .await
}

async fn import(engine: Engine, parameters: &Parameters, request: Request) -> Result<Response, ApiError> {
    let options = ImportOptions {
        name: parameters
            .get("repo")
            .map(|repository| reference(repository, parameters.get("tag")))
            .transpose()?,
        platform: parameters.platform("platform")?,
        message: parameters.get("message").unwrap_or_default().to_owned(),
        changes: parameters.all("changes").map(str::to_owned).collect(),
    };
    let body = BodyReader::new(request.into_body());
    json_stream::answer(|messages| async move {
        let target = engine.import_image(body, options).await.map_err(failure)?;
        messages.send(&line(None, target.digest().to_string())).await;
        Ok(())
    })
    .await
}

fn tag_or_digest(reference: &Reference) -> String {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, Some(tag)) => tag.to_owned(),
        (None, None) => String::new(),
    }
}
