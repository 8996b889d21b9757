//! Containers really launched: needs root and a static busybox, says so where it has neither.

mod attach;
mod death;
mod emulation;
mod errors;
mod exec;
mod fixture;
mod inside;
mod life;
mod log;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use fixture::Fixture;

/// A test: its name and what it does.
type Test = (&'static str, fn(&Fixture));

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(ferry_runtime::zygote::ARGV1) {
        ferry_runtime::zygote::main();
    }
    let filter = first.filter(|word| !word.starts_with('-')).unwrap_or_default();
    let fixture = match Fixture::new() {
        Ok(fixture) => fixture,
        Err(missing) => {
            eprintln!("skipped: needs {missing}");
            return ExitCode::SUCCESS;
        }
    };
    let groups = [
        life::TESTS,
        log::TESTS,
        attach::TESTS,
        inside::TESTS,
        exec::TESTS,
        errors::TESTS,
        emulation::TESTS,
        death::TESTS,
    ];
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in groups.concat().into_iter().filter(|(name, _)| name.contains(&filter)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            test(&fixture);
            fixture.assert_nothing_left();
        }));
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(name);
            fixture.clear();
        } else {
            passed += 1;
        }
    }
    drop(fixture);
    let all = if failed.is_empty() { "ok" } else { "FAILED" };
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    // As the usual harness says it, so that `./test` counts these tests too.
    println!(
        "test result: {all}. {passed} passed; {} failed; 0 ignored",
        failed.len()
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}
