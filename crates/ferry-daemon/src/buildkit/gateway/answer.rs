//! A finished build as the answer of `LLBBridge.Solve`: references, configs, platforms.

use std::collections::HashMap;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    Ref, RefMap, Result as GatewayResult, SolveResponse, result,
};
use ferry_build::BuiltImage;
use ferry_engine::build::Built;
use ferry_oci::Platform;
use serde_json::json;
use tonic::Status;

use crate::buildkit::control::job::Job;

/// The config of the one image, or with `/<platform>` appended, of one of several.
const CONFIG_KEY: &str = "containerimage.config";
/// Which platforms there are, in JSON.
const PLATFORMS_KEY: &str = "refs.platforms";

/// The answer to a request that asks for nothing.
pub(super) fn nothing() -> SolveResponse {
    SolveResponse {
        result: Some(GatewayResult::default()),
        ..SolveResponse::default()
    }
}

/// The answer that names `result`; `job` keeps it under those names.
pub(super) fn result(
    job: &Job,
    result: &Arc<Built>,
    options: &HashMap<String, String>,
) -> Result<SolveResponse, Status> {
    let several = result.images.len() > 1
        || options
            .get("multi-platform")
            .is_some_and(|value| matches!(value.as_str(), "1" | "true" | "t"));
    let answer = match &result.images[..] {
        [image] if !several => one(image)?,
        images => many(images)?,
    };
    for image in &result.images {
        job.keep(name_of(image), Arc::clone(result))?;
    }
    Ok(SolveResponse {
        result: Some(answer),
        ..SolveResponse::default()
    })
}

fn one(image: &BuiltImage) -> Result<GatewayResult, Status> {
    Ok(GatewayResult {
        result: Some(result::Result::Ref(reference(image))),
        metadata: HashMap::from([(CONFIG_KEY.to_owned(), config(image)?)]),
        ..GatewayResult::default()
    })
}

fn many(images: &[BuiltImage]) -> Result<GatewayResult, Status> {
    let mut metadata = HashMap::new();
    let mut refs = HashMap::new();
    let mut platforms = Vec::new();
    for image in images {
        let id = image.platform.to_string();
        metadata.insert(format!("{CONFIG_KEY}/{id}"), config(image)?);
        refs.insert(id.clone(), reference(image));
        platforms.push(json!({ "ID": id, "Platform": go_platform(&image.platform) }));
    }
    let platforms = json!({ "Platforms": platforms }).to_string().into_bytes();
    metadata.insert(PLATFORMS_KEY.to_owned(), platforms);
    Ok(GatewayResult {
        result: Some(result::Result::Refs(RefMap { refs })),
        metadata,
        ..GatewayResult::default()
    })
}

/// A platform in OCI's JSON, which is also Go's.
fn go_platform(platform: &Platform) -> serde_json::Value {
    let mut value = json!({ "architecture": platform.architecture, "os": platform.os });
    if let (Some(variant), Some(object)) = (&platform.variant, value.as_object_mut()) {
        object.insert("variant".to_owned(), json!(variant));
    }
    value
}

fn reference(image: &BuiltImage) -> Ref {
    Ref {
        id: name_of(image),
        def: None,
    }
}

fn name_of(image: &BuiltImage) -> String {
    image.manifest.digest().to_string()
}

fn config(image: &BuiltImage) -> Result<Vec<u8>, Status> {
    serde_json::to_vec(&image.config).map_err(|error| Status::internal(error.to_string()))
}
