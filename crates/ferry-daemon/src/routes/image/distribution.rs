//! `GET /distribution/{name}/json` and `POST /auth`: questions to a registry.

use axum::Json;
use axum::extract::{Path, State};
use bollard_stubs::models::{AuthResponse, DistributionInspect};
use ferry_engine::Engine;
use ferry_registry::Credential;
use http::HeaderMap;

use super::parameters::reference;
use super::{failure, not_found};
use crate::convert::image;
use crate::error::ApiError;
use crate::extract;
use crate::registry_auth::{self, AuthConfig};

/// Docker Engine API `DistributionInspect`.
pub(super) async fn inspect(
    State(engine): State<Engine>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Json<DistributionInspect>, ApiError> {
    let name = path.strip_suffix("/json").ok_or_else(|| not_found(&path))?;
    let reference = reference(name, None)?;
    let credentials = registry_auth::for_reference(&headers, &reference)?;
    let found = engine.distribution(&reference, &*credentials).await.map_err(failure)?;
    Ok(Json(DistributionInspect {
        descriptor: image::descriptor(&found.descriptor),
        platforms: found.platforms.iter().map(image::platform).collect(),
    }))
}

/// Docker Engine API `SystemAuth`.
pub(super) async fn login(
    State(engine): State<Engine>,
    extract::Json(config): extract::Json<AuthConfig>,
) -> Result<Json<AuthResponse>, ApiError> {
    let credential = config
        .credential()
        .ok_or_else(|| ApiError::bad_request("no credential was given: username and password are needed"))?;
    let status = engine.login(&config.domain(), &credential).await.map_err(failure)?;
    let token = match status.identity_token {
        Some(Credential::IdentityToken(token)) => token,
        _ => String::new(),
    };
    Ok(Json(AuthResponse {
        status: "Login Succeeded".to_owned(),
        identity_token: Some(token),
    }))
}
