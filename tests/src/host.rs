//! A host for one test: a network namespace that holds all the test starts, and a folder for its files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::shell::{Finished, Running, Shell};
use crate::skip::{has_program, skip};
use crate::traces;

/// A network namespace with loopback up, which the test's thread lives in, and a folder.
///
/// Dropped last, it fails the test if links or nftables are left in its namespace.
#[derive(Debug)]
pub struct Host {
    folder: TempDir,
    shell: Shell,
}

impl Host {
    /// Moves the calling thread into a host of its own; `None`, said aloud, where that cannot be.
    pub fn new() -> Option<Rc<Self>> {
        if !rustix::process::geteuid().is_root() {
            skip("root");
            return None;
        }
        let binary = ferry_binary();
        if !binary.is_file() {
            skip(&format!(
                "the built binary {}: cargo build --release --bin ferry",
                binary.display()
            ));
            return None;
        }
        if !(has_program("ip") && has_program("unshare")) {
            return None;
        }
        enter_new_network();
        let folder = tempfile::Builder::new()
            .prefix("ferry-e2e-")
            .tempdir()
            .expect("a folder for the test");
        let path = folder.path();
        for name in ["bin", "home"] {
            fs::create_dir(path.join(name)).expect("a folder for the test");
        }
        symlink(&binary, path.join("bin/ferry")).expect("a link to the binary");
        let search = std::env::var("PATH").unwrap_or_default();
        let shell = Shell::new(path.to_owned())
            .with("PATH", format!("{}:{search}", path.join("bin").display()))
            .with("HOME", path.join("home"))
            .with("LC_ALL", "C");
        Some(Rc::new(Self { folder, shell }))
    }

    /// A path in the host's folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the host's folder, and makes the folders above it.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
        fs::write(&path, contents).expect("a file can be written");
        path
    }

    /// A shell on this host that knows no engine.
    pub fn shell(&self) -> &Shell {
        &self.shell
    }

    /// Runs a command line that needs no engine, in the host's folder.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Finished {
        self.shell.sh(line)
    }

    /// Starts a simple command that needs no engine.
    #[track_caller]
    pub fn start(&self, line: &str) -> Running {
        self.shell.start(line)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let left = traces::of_network();
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left in the host's network:\n  {}", left.join("\n  "));
        }
    }
}

/// The binary under test: `FERRY_BIN`, or what `cargo build --release` makes.
fn ferry_binary() -> PathBuf {
    match std::env::var_os("FERRY_BIN") {
        Some(path) => PathBuf::from(path),
        None => workspace().join(format!(
            "target/{}-unknown-linux-gnu/release/ferry",
            std::env::consts::ARCH
        )),
    }
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_owned()
}

/// Moves this thread, and so what it starts later, into a new network namespace with loopback up.
fn enter_new_network() {
    let mut maker = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && echo up && read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare can be run");
    let mut line = String::new();
    let stdout = maker.stdout.take().expect("its stdout is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("unshare answers");
    assert_eq!(line.trim(), "up", "a network namespace can be made");
    let namespace = File::open(format!("/proc/{}/ns/net", maker.id())).expect("its namespace can be opened");
    drop(maker.stdin.take());
    maker.wait().expect("it ends");
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("root may enter a network namespace");
}
