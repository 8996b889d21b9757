//! What a client wants done with the result: under which names it is kept.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use ferry_oci::Reference;
use tonic::Status;

/// Names that one result may get.
const MAX_NAMES: usize = 256;

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    /// Names for the image in the engine's store.
    pub(super) names: Vec<Reference>,
}

/// What `request` asks to export; `None` when the build is only for the cache.
pub(super) fn read(request: &SolveRequest) -> Result<Option<Export>, Status> {
    let deprecated = Exporter {
        r#type: request.exporter_deprecated.clone(),
        attrs: request.exporter_attrs_deprecated.clone(),
    };
    let exporter = match &request.exporters[..] {
        [] if deprecated.r#type.is_empty() => return Ok(None),
        [] => &deprecated,
        [exporter] => exporter,
        _ => {
            return Err(Status::unimplemented(
                "several outputs of one build are not supported yet",
            ));
        }
    };
    match exporter.r#type.as_str() {
        "image" | "moby" | "docker" => image(&exporter.attrs).map(Some),
        other => Err(Status::unimplemented(format!(
            "output of type {other} is not supported yet; the types are image and docker"
        ))),
    }
}

fn image(attributes: &HashMap<String, String>) -> Result<Export, Status> {
    let is_set = |key: &str| {
        attributes
            .get(key)
            .is_some_and(|value| !matches!(value.as_str(), "false" | "0" | "f" | "F"))
    };
    for (key, instead) in [
        ("push", "push the image after the build"),
        ("push-by-digest", "push the image after the build"),
        ("tar", "save the image after the build"),
        ("dest", "save the image after the build"),
    ] {
        if is_set(key) {
            return Err(Status::unimplemented(format!(
                "output attribute {key} is not supported yet; {instead}"
            )));
        }
    }
    let names = attributes.get("name").map_or("", String::as_str);
    let names: Vec<Reference> = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .take(MAX_NAMES + 1)
        .map(|name| {
            Reference::parse(name).map_err(|error| Status::invalid_argument(format!("invalid image name: {error}")))
        })
        .collect::<Result<_, _>>()?;
    if names.len() > MAX_NAMES {
        return Err(Status::invalid_argument(format!("more than {MAX_NAMES} image names")));
    }
    if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
        return Err(Status::invalid_argument(format!(
            "invalid image name {name}: a digest cannot be chosen"
        )));
    }
    Ok(Export { names })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, attributes: &[(&str, &str)]) -> SolveRequest {
        SolveRequest {
            exporters: vec![Exporter {
                r#type: kind.to_owned(),
                attrs: attributes
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            }],
            ..SolveRequest::default()
        }
    }

    #[test]
    fn names_are_normalised_and_digests_refused() {
        let export = read(&request("image", &[("name", "a, example.com/b:1"), ("push", "false")]))
            .expect("export")
            .expect("an image");
        let names: Vec<String> = export.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/a:latest", "example.com/b:1"]);
        assert!(read(&SolveRequest::default()).expect("none").is_none());
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for wrong in [
            request("image", &[("name", "A")]),
            request("image", &[("name", &digest)]),
            request("image", &[("push", "true")]),
            request("local", &[]),
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }
}
