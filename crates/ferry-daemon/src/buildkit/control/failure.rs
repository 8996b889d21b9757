//! Errors of builds as gRPC statuses, with the details from which BuildKit's clients print `Dockerfile:4 >>>`.
//!
//! BuildKit packs typed errors into `google.rpc.Status.details` as JSON under URLs of its own
//! (util/grpcerrors, solver/errdefs); `errdefs.Source+json` is the one that clients show.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bollard_buildkit_proto::google::protobuf::Any;
use bollard_buildkit_proto::google::rpc;
use ferry_build::{BuildError, ErrorClass, Source, StepFailure};
use ferry_engine::Class;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};

const SOURCE_TYPE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// The status that a failed build ends with.
pub(super) fn status(error: &BuildError) -> Status {
    let code = code(error.class());
    let mut message = error.to_string();
    if let Some(hint) = error.hint().or_else(|| hint_of_port(error)) {
        message.push_str("\nhint: ");
        message.push_str(&hint);
    }
    match error.source_lines() {
        Some(source) => with_source(code, message, source),
        None => Status::new(code, message),
    }
}

/// The hint of an image's error that came through one of the builder's ports.
fn hint_of_port(error: &BuildError) -> Option<String> {
    let port = match error {
        BuildError::Port(port) => port,
        BuildError::Base(base) => &base.failure,
        BuildError::Vertex(vertex) => match &vertex.failure {
            StepFailure::Port(port) => port,
            _ => return None,
        },
        _ => return None,
    };
    port.get_ref().downcast_ref::<ferry_engine::image::Error>()?.hint()
}

/// The status of an error of the engine.
pub(super) fn of_engine(error: &ferry_engine::Error) -> Status {
    Status::new(code_of_engine(error.class()), error.to_string())
}

fn with_source(code: Code, message: String, source: &Source) -> Status {
    let details = rpc::Status {
        code: code as i32,
        message: message.clone(),
        details: vec![Any {
            type_url: SOURCE_TYPE.to_owned(),
            value: source_json(source).to_string().into_bytes(),
        }],
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// `errdefs.Source` as Go's `encoding/json` writes it: bytes are base64.
fn source_json(source: &Source) -> serde_json::Value {
    json!({
        "info": {
            "filename": &*source.name,
            "data": BASE64.encode(source.text.as_bytes()),
            "language": "Dockerfile",
        },
        "ranges": [{
            "start": { "line": source.lines.first },
            "end": { "line": source.lines.last },
        }],
    })
}

/// A class as a code. What the user's Dockerfile did is `Unknown`: clients print the code before
/// the message for all others.
fn code(class: ErrorClass) -> Code {
    match class {
        ErrorClass::Invalid | ErrorClass::NotFound => Code::Unknown,
        ErrorClass::Unauthorized => Code::Unauthenticated,
        ErrorClass::Unavailable => Code::Unavailable,
        ErrorClass::NotImplemented => Code::Unimplemented,
        ErrorClass::Internal => Code::Internal,
    }
}

/// The engine's classes as codes.
fn code_of_engine(class: Class) -> Code {
    match class {
        Class::NotFound => Code::NotFound,
        Class::Conflict => Code::FailedPrecondition,
        Class::Invalid => Code::InvalidArgument,
        Class::Unauthorized => Code::Unauthenticated,
        Class::Forbidden => Code::PermissionDenied,
        Class::Unavailable => Code::Unavailable,
        Class::NotImplemented => Code::Unimplemented,
        Class::Internal => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use ferry_build::LineRange;

    use super::*;

    #[test]
    fn the_lines_to_blame_travel_as_buildkit_packs_them() {
        let source = Source {
            name: "Dockerfile".into(),
            text: "FROM a\nRUNN b\n".into(),
            lines: LineRange { first: 2, last: 2 },
        };
        let status = with_source(Code::Unknown, "unknown instruction: RUNN".to_owned(), &source);
        assert_eq!(status.code(), Code::Unknown);
        let details = rpc::Status::decode(status.details()).expect("google.rpc.Status");
        assert_eq!(details.message, status.message());
        let [any] = &details.details[..] else {
            panic!("{details:?}");
        };
        assert_eq!(any.type_url, SOURCE_TYPE);
        let value: serde_json::Value = serde_json::from_slice(&any.value).expect("JSON");
        assert_eq!(value["info"]["data"], "RlJPTSBhClJVTk4gYgo=");
        assert_eq!(value["ranges"][0]["start"]["line"], 2);
    }
}
