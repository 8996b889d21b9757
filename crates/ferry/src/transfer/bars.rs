//! Progress on a terminal: a line a layer, a bar where the size is known.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;
use crate::engine::Progress;

/// Frames a second: more would only cost.
const FRAME_RATE: u8 = 15;

/// A line for each layer.
pub(super) struct Bars {
    all: MultiProgress,
    by_id: HashMap<String, ProgressBar>,
    plain: ProgressStyle,
    measured: ProgressStyle,
}

impl Bars {
    pub(super) fn new(output: Output) -> Self {
        let target = match output {
            Output::Stdout => ProgressDrawTarget::stdout_with_hz(FRAME_RATE),
            Output::Stderr => ProgressDrawTarget::stderr_with_hz(FRAME_RATE),
            Output::Quiet => ProgressDrawTarget::hidden(),
        };
        // The templates are constants; a mistake in one would leave indicatif's own.
        let style = |template| ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            all: MultiProgress::with_draw_target(target),
            by_id: HashMap::new(),
            plain: style("{prefix}: {wide_msg}"),
            measured: style("{prefix}: {msg:<12} [{bar:30}] {decimal_bytes:>9}/{decimal_total_bytes}")
                .progress_chars("=> "),
        }
    }

    pub(super) fn show(&mut self, message: &Progress) {
        if let Some(text) = &message.stream {
            let _ = self.all.println(text.trim_end_matches('\n'));
            return;
        }
        let Some(status) = &message.status else {
            return;
        };
        let Some(id) = &message.id else {
            let _ = self.all.println(status);
            return;
        };
        let bar = self.by_id.entry(id.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            bar.set_style(self.plain.clone());
            bar.set_prefix(id.clone());
            bar
        });
        let detail = message.detail.unwrap_or_default();
        match (detail.current, detail.total) {
            (Some(current), Some(total)) if total > 0 => {
                bar.set_style(self.measured.clone());
                bar.set_length(total);
                bar.set_position(current.min(total));
            }
            _ => bar.set_style(self.plain.clone()),
        }
        bar.set_message(status.clone());
    }

    /// Leaves the lines as they are.
    pub(super) fn finish(&mut self) {
        for bar in self.by_id.values() {
            bar.abandon();
        }
    }

    /// As [`Self::finish`]: what was reached stays readable above the error.
    pub(super) fn abandon(&mut self) {
        self.finish();
    }
}
