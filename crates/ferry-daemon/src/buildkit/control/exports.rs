//! What a client wants done with the result: named and kept here, pushed, or sent to the client as an archive.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use ferry_oci::Reference;
use tonic::Status;

/// Names that one result may get.
const MAX_NAMES: usize = 256;

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    /// Names for the image.
    pub(super) names: Vec<Reference>,
    /// What is done with it.
    pub(super) destination: Destination,
}

/// What is done with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    /// It is kept in the engine's store under its names.
    Store,
    /// It is kept, and each name is pushed to its registry.
    Registry,
    /// It is sent to the client, as an archive that `docker load` and OCI tools read; nothing is named here.
    Client,
    /// Its files are sent to the client.
    Files(FilesForm),
}

/// How files are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilesForm {
    /// One by one, into a directory of the client.
    Directory,
    /// As one tar.
    Tar,
}

/// What `request` asks to export; `None` when the build is only for the cache. `can_receive` says
/// whether the client's session takes files.
pub(super) fn read(request: &SolveRequest, can_receive: impl Fn() -> bool) -> Result<Option<Export>, Status> {
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
    let attributes = &exporter.attrs;
    let destination = match exporter.r#type.as_str() {
        "image" | "moby" if is_set(attributes, "push") => Destination::Registry,
        "image" | "moby" => Destination::Store,
        "oci" => Destination::Client,
        // Clients that want it loaded and clients that want a file both say `docker`.
        "docker" if can_receive() => Destination::Client,
        "docker" => Destination::Store,
        "local" => Destination::Files(FilesForm::Directory),
        "tar" => Destination::Files(FilesForm::Tar),
        other => {
            return Err(Status::unimplemented(format!(
                "output of type {other} is not supported yet; the types are image, docker, oci, local and tar"
            )));
        }
    };
    refuse_unsupported(attributes)?;
    Ok(Some(Export {
        names: names(attributes)?,
        destination,
    }))
}

/// Attributes that would change the result and that are not known here; the others say what happens anyway.
fn refuse_unsupported(attributes: &HashMap<String, String>) -> Result<(), Status> {
    for (key, value) in attributes {
        let refused = match (key.as_str(), value.as_str()) {
            ("push-by-digest", _) => is_set(attributes, key).then_some("push by name"),
            ("platform-split", "false") => Some("leave it away"),
            ("tar", "false") => Some("unpack the archive"),
            ("compression", value) => (value != "gzip").then_some("layers are compressed by gzip"),
            ("oci-mediatypes", "false") => Some("images are made with OCI's media types"),
            (key, _) => key.starts_with("annotation").then_some("use --label"),
        };
        if let Some(instead) = refused {
            return Err(Status::unimplemented(format!(
                "output attribute {key}={value} is not supported yet; {instead}"
            )));
        }
    }
    Ok(())
}

fn is_set(attributes: &HashMap<String, String>, key: &str) -> bool {
    attributes
        .get(key)
        .is_some_and(|value| !matches!(value.as_str(), "false" | "0" | "f" | "F"))
}

fn names(attributes: &HashMap<String, String>) -> Result<Vec<Reference>, Status> {
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
    Ok(names)
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
        let asked = request("image", &[("name", "a, example.com/b:1"), ("push", "false")]);
        let export = read(&asked, || true).expect("export").expect("an image");
        let names: Vec<String> = export.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/a:latest", "example.com/b:1"]);
        assert!(read(&SolveRequest::default(), || true).expect("none").is_none());
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for wrong in [
            request("image", &[("name", "A")]),
            request("image", &[("name", &digest)]),
            request("image", &[("push-by-digest", "true")]),
            request("oci", &[("tar", "false")]),
            request("local", &[("platform-split", "false")]),
            request("image", &[("annotation.a", "b")]),
            request("image", &[("compression", "zstd")]),
        ] {
            assert!(read(&wrong, || true).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn destinations() {
        for (kind, attributes, can_receive, expect) in [
            ("image", &[][..], true, Destination::Store),
            ("moby", &[], true, Destination::Store),
            ("image", &[("push", "true")], true, Destination::Registry),
            ("docker", &[], false, Destination::Store),
            ("docker", &[], true, Destination::Client),
            ("oci", &[], false, Destination::Client),
            ("local", &[], true, Destination::Files(FilesForm::Directory)),
            ("tar", &[], true, Destination::Files(FilesForm::Tar)),
        ] {
            let export = read(&request(kind, attributes), || can_receive).expect("export");
            assert_eq!(export.map(|export| export.destination), Some(expect), "{kind}");
        }
    }
}
