//! The progress of a build as a person, a log or a program reads it.

mod model;
mod plain;
mod raw_json;
mod tty;

use std::io::{self, Write};

use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;
use clap::ValueEnum;

use crate::terminal;

use model::Model;
use plain::Plain;
use tty::Tty;

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// tty on a terminal, otherwise plain.
    Auto,
    /// Lines that are drawn again.
    Tty,
    /// One line after another.
    Plain,
    /// BuildKit's messages, one a line.
    Rawjson,
    /// Nothing but errors.
    Quiet,
}

/// Shows the progress of one build on stderr.
pub(crate) struct Display {
    model: Model,
    form: Form,
}

enum Form {
    Tty(Tty),
    Plain(Plain),
    RawJson,
    Quiet,
}

impl Display {
    /// In a style.
    pub(crate) fn new(style: Style) -> Self {
        let form = match style {
            Style::Auto if terminal::stderr_is_one() => Form::Tty(Tty::new()),
            Style::Tty if terminal::stderr_is_one() => Form::Tty(Tty::new()),
            Style::Auto | Style::Tty | Style::Plain => Form::Plain(Plain::new()),
            Style::Rawjson => Form::RawJson,
            Style::Quiet => Form::Quiet,
        };
        Self {
            model: Model::new(),
            form,
        }
    }

    /// Takes a message of BuildKit's.
    pub(super) fn update(&mut self, status: &StatusResponse) {
        self.model.update(status);
        match &mut self.form {
            Form::Tty(tty) => write(&tty.draw(&self.model)),
            Form::Plain(plain) => write(&plain.print(&self.model)),
            Form::RawJson => write(&raw_json::line(status)),
            Form::Quiet => {}
        }
    }

    /// Moves the clocks of running steps.
    pub(super) fn tick(&mut self) {
        match &mut self.form {
            Form::Tty(tty) => write(&tty.draw(&self.model)),
            Form::Plain(plain) => write(&plain.print(&self.model)),
            Form::RawJson | Form::Quiet => {}
        }
    }

    /// Leaves the last state on the screen.
    pub(super) fn finish(&mut self) {
        match &mut self.form {
            Form::Tty(tty) => write(&tty.finish(&self.model)),
            Form::Plain(plain) => write(&plain.finish(&self.model)),
            Form::RawJson | Form::Quiet => {}
        }
        if matches!(self.form, Form::Tty(_) | Form::Plain(_)) {
            for warning in self.model.warnings() {
                write(&format!("WARNING: {warning}\n"));
            }
        }
    }

    /// Shows the output of the steps that failed once more, in one piece.
    pub(super) fn show_failed(&mut self) {
        if matches!(self.form, Form::RawJson) {
            return;
        }
        for step in self.model.failed().filter(|step| step.line_count() > 0) {
            let mut text = format!("------\n > {}:\n", step.name);
            for line in step.last_lines() {
                text.push_str(&format!("{line}\n"));
            }
            text.push_str("------\n");
            write(&text);
        }
    }

    /// Says something beside the progress.
    pub(super) fn say(&mut self, text: &str) {
        write(&format!("{text}\n"));
    }
}

/// A reader that has gone is no reason to stop a build.
fn write(text: &str) {
    if !text.is_empty() {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}
