//! Tests that cannot run here say so aloud, past the test harness' capture, so that the gate can count them.

use std::io::Write;

/// Says on stderr that the running test is skipped, and why: `skipped: needs …`.
pub fn skip(needs: &str) {
    // Not `eprintln!`: the harness keeps that for itself when a test passes.
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(std::io::stderr(), "\nskipped: needs {needs} ({test})");
}

/// Whether `name` is a program in `PATH`; if not, the test is skipped aloud.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if !found {
        skip(&format!("the program {name}"));
    }
    found
}
