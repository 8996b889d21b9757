//! Where a runtime says what went wrong: stderr, and a file that the engine reads.

use std::fs::File;
use std::io::Write;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::NAME;
use super::flags::{Globals, LogFormat};

/// The log of one command.
pub(super) struct Log {
    file: Option<File>,
    format: LogFormat,
}

impl Log {
    /// Opens the file that was asked for. One that cannot be opened is said on stderr and done without.
    pub(super) fn open(globals: &Globals) -> Log {
        let file = globals.log.as_ref().and_then(|path| {
            let opened = File::options().create(true).append(true).open(path);
            opened
                .inspect_err(|error| note(&format!("log file {}: {error}", path.display())))
                .ok()
        });
        Log {
            file,
            format: globals.log_format,
        }
    }

    /// Something failed.
    pub(super) fn error(&self, message: &str) {
        self.write("error", message);
        note(message);
    }

    /// Something was not as asked for.
    pub(super) fn warn(&self, messages: &[String]) {
        for message in messages {
            self.write("warning", message);
            if self.file.is_none() {
                note(&format!("warning: {message}"));
            }
        }
    }

    fn write(&self, level: &str, message: &str) {
        let Some(mut file) = self.file.as_ref() else {
            return;
        };
        let when = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let line = match self.format {
            LogFormat::Json => serde_json::json!({"level": level, "msg": message, "time": when}).to_string(),
            LogFormat::Text => format!("time={when:?} level={level} msg={message:?}"),
        };
        // A log that cannot be written must not be the end of it.
        let _ = writeln!(file, "{line}");
    }
}

fn note(message: &str) {
    crate::terminal::note(&format!("{NAME}: {message}"));
}
