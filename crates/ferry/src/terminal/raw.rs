//! Raw mode of the terminal, left again on every way out.

use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal passes each key on while this lives.
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Turns raw mode on for the terminal that stdin is.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        restore_on_panic(before.clone());
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Draining would wait for a terminal that may have gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// A panic aborts the process, so that nothing is dropped: its hook is the only way out that passes here.
fn restore_on_panic(before: Termios) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        report(panic);
    }));
}
