//! Progress in plain lines, for pipes and logs: what is done, not how far it is.

use std::collections::HashSet;
use std::io::{self, Write};

use super::Output;
use crate::engine::Progress;

/// Prints progress in plain lines.
pub(super) struct Plain {
    output: Output,
    /// Lines about layers that were printed: an engine says `Downloading` hundreds of times.
    said: HashSet<String>,
}

impl Plain {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            said: HashSet::new(),
        }
    }

    pub(super) fn show(&mut self, message: &Progress) {
        let Some(line) = self.line(message) else {
            return;
        };
        // A reader that has gone is no reason to stop the transfer.
        let _ = match self.output {
            Output::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            Output::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Output::Quiet => Ok(()),
        };
    }

    fn line(&mut self, message: &Progress) -> Option<String> {
        if let Some(text) = &message.stream {
            return Some(text.clone());
        }
        let status = message.status.as_deref()?;
        let Some(id) = &message.id else {
            return Some(format!("{status}\n"));
        };
        let is_under_way = message
            .detail
            .is_some_and(|detail| detail.current.is_some_and(|current| Some(current) != detail.total));
        if is_under_way {
            return None;
        }
        let line = format!("{id}: {status}\n");
        self.said.insert(line.clone()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_a_layer_is_said_once() {
        let mut plain = Plain::new(Output::Quiet);
        let said: Vec<Option<String>> = [
            r#"{"status":"Pulling from library/a","id":"latest"}"#,
            r#"{"status":"Downloading","id":"1","progressDetail":{"current":1,"total":9}}"#,
            r#"{"status":"Pull complete","id":"1","progressDetail":{}}"#,
            r#"{"status":"Pull complete","id":"1"}"#,
            r#"{"status":"Digest: sha256:0"}"#,
            r#"{"stream":"Loaded image: a\n"}"#,
        ]
        .iter()
        .map(|json| plain.line(&serde_json::from_str(json).expect("a message")))
        .collect();
        let expected = [
            Some("latest: Pulling from library/a\n"),
            None,
            Some("1: Pull complete\n"),
            None,
            Some("Digest: sha256:0\n"),
            Some("Loaded image: a\n"),
        ];
        assert_eq!(said, expected.map(|line| line.map(str::to_owned)));
    }
}
