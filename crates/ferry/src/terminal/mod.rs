//! The terminal that the command was typed at: its size, its colours, its modes.

pub(crate) mod raw;

use std::io::IsTerminal;

use rustix::termios::tcgetwinsize;

use crate::failure::{Explain, Failure};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Lines.
    pub(crate) rows: u16,
    /// Columns.
    pub(crate) columns: u16,
}

/// Whether stdin is a terminal.
pub(crate) fn stdin_is_one() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether stdout is a terminal.
pub(crate) fn stdout_is_one() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub(crate) fn stderr_is_one() -> bool {
    std::io::stderr().is_terminal()
}

/// Size of the terminal that stdout is, if it is one.
pub(crate) fn size() -> Option<Size> {
    let size = tcgetwinsize(std::io::stdout())
        .or_else(|_| tcgetwinsize(std::io::stdin()))
        .ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Columns that a table may take; none when the output is no terminal.
pub(crate) fn columns() -> Option<usize> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Whether stderr takes colours: a terminal, and NO_COLOR is not set.
pub(crate) fn stderr_takes_colour() -> bool {
    stderr_is_one() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes text to stdout; a reader that has gone is no failure.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes one line to stdout, as the result of a command.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    print(&format!("{line}\n")).explain(|| "cannot write the result")
}

/// Size of the terminal that stderr is, if it is one.
pub(crate) fn stderr_size() -> Option<Size> {
    let size = tcgetwinsize(std::io::stderr()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Writes one line to stderr; where nobody reads it, nothing is lost that a script needs.
pub(crate) fn note(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Asks a question on stderr and reads a line from stdin, without its end.
pub(crate) fn ask(question: &str) -> std::io::Result<String> {
    use std::io::{BufRead, Write};
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}
