//! The `ferry` binary: command line, engine and zygote in one file.

// Doc comments of flags are the help that people read, where brackets mean what can be left out.
#![allow(rustdoc::broken_intra_doc_links)]

mod build;
mod cli;
mod command;
mod config;
mod engine;
mod entry;
mod failure;
mod format;
mod invocation;
mod nearest;
mod runtime;
mod stream;
mod terminal;
mod transfer;

fn main() {
    entry::zygote_if_asked();
    runtime::run_if_asked();
    entry::init_if_asked();
    let status = cli::main();
    // Not by return: a thread that waits for keys on stdin must not keep the process.
    std::process::exit(i32::from(status.code()));
}
