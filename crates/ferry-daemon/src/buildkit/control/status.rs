//! The builder's events as the messages of `Control.Status`.

use std::time::SystemTime;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning};
use bollard_buildkit_proto::pb;
use ferry_build::{BuildEvent, Source};

/// Level of warnings; BuildKit shows those of 1 only when asked for details.
const WARNING_LEVEL: i64 = 1;

/// One event as one message.
pub(super) fn message(event: BuildEvent) -> StatusResponse {
    let mut message = StatusResponse::default();
    match event {
        BuildEvent::Vertex(vertex) => message.vertexes.push(Vertex {
            digest: vertex.id.to_string(),
            inputs: vertex.inputs.iter().map(ToString::to_string).collect(),
            name: vertex.name,
            cached: vertex.cached,
            started: vertex.started.map(timestamp),
            completed: vertex.completed.map(timestamp),
            error: vertex.error.unwrap_or_default(),
            progress_group: None,
        }),
        BuildEvent::Status(status) => message.statuses.push(VertexStatus {
            name: status.id.clone(),
            id: status.id,
            vertex: status.vertex.to_string(),
            current: saturating(status.current_bytes),
            total: saturating(status.total_bytes),
            timestamp: Some(timestamp(status.timestamp)),
            started: status.started.map(timestamp),
            completed: status.completed.map(timestamp),
        }),
        BuildEvent::Log(log) => message.logs.push(VertexLog {
            vertex: log.vertex.to_string(),
            timestamp: Some(timestamp(log.timestamp)),
            stream: log.stream as i64,
            msg: log.data.to_vec(),
        }),
        BuildEvent::Warning(warning) => message.warnings.push(VertexWarning {
            vertex: warning.vertex.to_string(),
            level: WARNING_LEVEL,
            short: warning.short.into_bytes(),
            detail: warning.detail.into_iter().map(String::into_bytes).collect(),
            url: warning.url.unwrap_or_default(),
            info: warning.source.as_ref().map(source_info),
            ranges: warning.source.as_ref().map(range).into_iter().collect(),
        }),
    }
    message
}

/// The file that a message points at.
pub(super) fn source_info(source: &Source) -> pb::SourceInfo {
    pb::SourceInfo {
        filename: source.name.to_string(),
        data: source.text.as_bytes().to_vec(),
        definition: None,
        language: "Dockerfile".to_owned(),
    }
}

/// The lines that are meant.
pub(super) fn range(source: &Source) -> pb::Range {
    let position = |line: u32| pb::Position {
        line: i32::try_from(line).unwrap_or(i32::MAX),
        character: 0,
    };
    pb::Range {
        start: Some(position(source.lines.first)),
        end: Some(position(source.lines.last)),
    }
}

/// A time as protobuf has it.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: saturating(since.as_secs()),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or(0),
    }
}

fn saturating(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
