//! What a failed build shows: the lines of the Dockerfile to blame, then the reason.
//!
//! BuildKit packs typed errors into `google.rpc.Status.details` as JSON (util/grpcerrors, solver/errdefs).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::rpc;
use prost::Message;
use serde::Deserialize;
use tonic::{Code, Status};

use super::progress::Display;
use crate::failure::Failure;

/// Type of the detail that says which lines are to blame.
const SOURCE_TYPE: &str = "github.com/moby/buildkit/errdefs.Source+json";
/// Lines shown before and after those to blame.
const AROUND: usize = 2;

/// `errdefs.Source` in JSON; bytes are base64.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source {
    info: Option<Info>,
    ranges: Vec<Range>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    filename: String,
    data: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Position {
    line: usize,
}

/// Shows the failed step and the lines to blame, and gives the failure.
pub(super) fn explain(status: &Status, display: &mut Display) -> Failure {
    display.show_failed();
    for snippet in snippets(status.details()) {
        display.say(&snippet);
    }
    let (message, hint) = match status.message().split_once("\nhint: ") {
        Some((message, hint)) => (message, Some(hint)),
        None => (status.message(), None),
    };
    let message = message.strip_prefix("failed to solve: ").unwrap_or(message);
    let failure = match status.code() {
        Code::Cancelled => Failure::new("the build was cancelled"),
        Code::Unavailable if message.is_empty() => Failure::new("the engine went away during the build"),
        _ => Failure::new(format!("build failed: {message}")),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn snippets(details: &[u8]) -> Vec<String> {
    let Ok(details) = rpc::Status::decode(details) else {
        return Vec::new();
    };
    details
        .details
        .iter()
        .filter(|detail| detail.type_url.ends_with(SOURCE_TYPE))
        .filter_map(|detail| serde_json::from_slice::<Source>(&detail.value).ok())
        .filter_map(|source| snippet(&source))
        .collect()
}

/// The file and line, and the lines around with `>>>` before those to blame.
fn snippet(source: &Source) -> Option<String> {
    let info = source.info.as_ref()?;
    let text = String::from_utf8(STANDARD.decode(&info.data).ok()?).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let blamed = |line: usize| {
        source
            .ranges
            .iter()
            .any(|range| (range.start.line..=range.end.line.max(range.start.line)).contains(&line))
    };
    let first = source.ranges.iter().map(|range| range.start.line).min()?;
    let last = source
        .ranges
        .iter()
        .map(|range| range.end.line.max(range.start.line))
        .max()?;
    if first == 0 || first > lines.len() {
        return None;
    }
    let begin = first.saturating_sub(AROUND).max(1);
    let end = last.saturating_add(AROUND).min(lines.len());
    let rule = "-".repeat(20);
    let mut out = format!("{}:{first}\n{rule}\n", info.filename);
    for (at, line) in lines.iter().enumerate().take(end).skip(begin - 1) {
        let number = at + 1;
        let mark = if blamed(number) { ">>>" } else { "   " };
        out.push_str(format!("{number:4} | {mark} {line}").trim_end());
        out.push('\n');
    }
    out.push_str(&rule);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_to_blame_are_shown_with_their_neighbours() {
        let text = "FROM a\n\nRUN b \\\n  c\nRUN d\nCMD e\nCMD f\n";
        let json = serde_json::json!({
            "info": {"filename": "Dockerfile", "data": STANDARD.encode(text)},
            "ranges": [{"start": {"line": 3}, "end": {"line": 4}}],
        });
        let detail = rpc::Status {
            details: vec![bollard_buildkit_proto::google::protobuf::Any {
                type_url: SOURCE_TYPE.to_owned(),
                value: json.to_string().into_bytes(),
            }],
            ..rpc::Status::default()
        };
        assert_eq!(
            snippets(&detail.encode_to_vec()),
            [
                "Dockerfile:3\n--------------------\n   1 |     FROM a\n   2 |\n   3 | >>> RUN b \\\n   4 | >>>   c\n   5 |     RUN d\n   6 |     CMD e\n--------------------"
            ]
        );
    }

    #[test]
    fn details_from_elsewhere_are_passed_over() {
        assert!(snippets(b"\xff\xff").is_empty());
        let beyond = Source {
            info: Some(Info::default()),
            ranges: vec![Range {
                start: Position { line: 9 },
                end: Position { line: 9 },
            }],
        };
        assert_eq!(snippet(&beyond), None);
    }
}
