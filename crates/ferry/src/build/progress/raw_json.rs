//! Progress as BuildKit's own messages in JSON, one a line (BuildKit client `SolveStatus`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;
use serde_json::{Map, Value, json};

use super::model::rfc3339;

/// One message as a line.
pub(super) fn line(status: &StatusResponse) -> String {
    let mut out = Map::new();
    let mut list = |name: &str, items: Vec<Value>| {
        if !items.is_empty() {
            out.insert(name.to_owned(), Value::Array(items));
        }
    };
    list(
        "vertexes",
        status
            .vertexes
            .iter()
            .map(|vertex| {
                compact(json!({
                    "digest": vertex.digest,
                    "inputs": vertex.inputs,
                    "name": vertex.name,
                    "started": time(vertex.started.as_ref()),
                    "completed": time(vertex.completed.as_ref()),
                    "cached": vertex.cached,
                    "error": vertex.error,
                }))
            })
            .collect(),
    );
    list(
        "statuses",
        status
            .statuses
            .iter()
            .map(|part| {
                compact(json!({
                    "id": part.id,
                    "vertex": part.vertex,
                    "name": part.name,
                    "total": part.total,
                    "current": part.current,
                    "timestamp": time(part.timestamp.as_ref()),
                    "started": time(part.started.as_ref()),
                    "completed": time(part.completed.as_ref()),
                }))
            })
            .collect(),
    );
    list(
        "logs",
        status
            .logs
            .iter()
            .map(|log| {
                compact(json!({
                    "vertex": log.vertex,
                    "stream": log.stream,
                    "data": STANDARD.encode(&log.msg),
                    "timestamp": time(log.timestamp.as_ref()),
                }))
            })
            .collect(),
    );
    list(
        "warnings",
        status
            .warnings
            .iter()
            .map(|warning| {
                compact(json!({
                    "vertex": warning.vertex,
                    "level": warning.level,
                    "short": STANDARD.encode(&warning.short),
                    "detail": warning.detail.iter().map(|line| STANDARD.encode(line)).collect::<Vec<_>>(),
                    "url": warning.url,
                }))
            })
            .collect(),
    );
    format!("{}\n", Value::Object(out))
}

fn time(timestamp: Option<&Timestamp>) -> Value {
    timestamp.map_or(Value::Null, |timestamp| rfc3339(timestamp).into())
}

/// Without what is empty, as Go leaves it out.
fn compact(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| match field {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0),
            _ => true,
        });
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_buildkit_proto::moby::buildkit::v1::{Vertex, VertexLog};

    #[test]
    fn a_message_is_a_line() {
        let status = StatusResponse {
            vertexes: vec![Vertex {
                digest: "sha256:0".into(),
                name: "[1/2] FROM a".into(),
                started: Some(Timestamp { seconds: 0, nanos: 0 }),
                ..Vertex::default()
            }],
            logs: vec![VertexLog {
                vertex: "sha256:0".into(),
                stream: 1,
                msg: b"hi\n".to_vec(),
                ..VertexLog::default()
            }],
            ..StatusResponse::default()
        };
        assert_eq!(
            line(&status),
            "{\"logs\":[{\"data\":\"aGkK\",\"stream\":1,\"vertex\":\"sha256:0\"}],\
             \"vertexes\":[{\"digest\":\"sha256:0\",\"name\":\"[1/2] FROM a\",\"started\":\"1970-01-01T00:00:00Z\"}]}\n"
        );
    }
}
