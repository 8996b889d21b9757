//! Command lines as people type them, run by `sh` with an environment of the test's, and what came of them.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::patience::{LIMIT, eventually};

/// Runs command lines in a folder with an environment; whatever logs explain a failure is quoted with it.
#[derive(Debug, Clone)]
pub struct Shell {
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
    logs: Vec<PathBuf>,
}

impl Shell {
    /// A shell in `folder` that inherits nothing of the caller's environment that could reach another engine.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            environment: Vec::new(),
            logs: Vec::new(),
        }
    }

    /// The same with a variable.
    pub fn with(&self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let mut shell = self.clone();
        shell.environment.push((name.into(), value.into()));
        shell
    }

    /// The same in another folder.
    pub fn in_folder(&self, folder: impl AsRef<Path>) -> Self {
        Self {
            folder: self.folder.join(folder),
            ..self.clone()
        }
    }

    /// The same with logs that failures quote.
    pub(crate) fn quoting(&self, logs: Vec<PathBuf>) -> Self {
        Self { logs, ..self.clone() }
    }

    /// Runs `line` to its end, with an empty stdin; a minute is the limit.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Finished {
        self.spawn(line, Stdio::null()).finish()
    }

    /// Runs `line` to its end with `input` on its stdin.
    #[track_caller]
    pub fn sh_with_input(&self, line: &str, input: &[u8]) -> Finished {
        let mut running = self.spawn(line, Stdio::piped());
        running.type_in(input);
        running.end_input();
        running.finish()
    }

    /// Starts a simple command, which the shell becomes, and leaves it running; its stdin is open.
    #[track_caller]
    pub fn start(&self, line: &str) -> Running {
        self.spawn(&format!("exec {line}"), Stdio::piped())
    }

    /// A command with this shell's folder and environment, in a process group of its own.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in [
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
            "DOCKER_DEFAULT_PLATFORM",
            "FERRY_HOST",
            "SOURCE_DATE_EPOCH",
            "XDG_RUNTIME_DIR",
        ] {
            command.env_remove(name);
        }
        command
            .envs(self.environment.iter().cloned())
            .current_dir(&self.folder)
            .process_group(0);
        command
    }

    #[track_caller]
    fn spawn(&self, line: &str, stdin: Stdio) -> Running {
        let mut child = self
            .command("sh")
            .args(["-c", line])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {line}: {error}"));
        let stdout = Collector::new(child.stdout.take());
        let stderr = Collector::new(child.stderr.take());
        Running {
            line: line.to_owned(),
            child,
            stdout,
            stderr,
            logs: self.logs.clone(),
        }
    }
}

/// A command line that runs.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Collector,
    stderr: Collector,
    logs: Vec<PathBuf>,
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal to its process group, as a terminal does.
    pub fn signal(&self, signal: Signal) {
        // Gone already is as good.
        let _ = kill_process_group(self.pid(), signal);
    }

    /// Writes to its stdin.
    pub fn type_in(&mut self, input: &[u8]) {
        if let Some(stdin) = &mut self.child.stdin {
            // A process that ended does not read; what it printed tells the rest.
            let _ = stdin.write_all(input).and_then(|()| stdin.flush());
        }
    }

    /// Closes its stdin.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it has printed `part`, on stdout or stderr.
    #[track_caller]
    pub fn until_says(&mut self, part: &str) {
        eventually(&format!("{}: {part:?}", self.line), || {
            let said = |collector: &Collector| String::from_utf8_lossy(&collector.so_far()).contains(part);
            if said(&self.stdout) || said(&self.stderr) {
                return Some(());
            }
            let ended = self.child.try_wait().ok().flatten();
            let still_silent = ended.is_some() && !self.drained(part);
            assert!(
                !still_silent,
                "{} ended with {ended:?} and never said {part:?}\n{}",
                self.line,
                self.report()
            );
            None
        });
    }

    /// What it has printed to stdout until now.
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.so_far()).into_owned()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; a minute is the limit.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        self.end_input();
        let begin = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begin.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => {
                    self.signal(Signal::KILL);
                    panic!(
                        "{} did not end within {} s\n{}",
                        self.line,
                        LIMIT.as_secs(),
                        self.report()
                    );
                }
                Err(error) => panic!("cannot wait for {}: {error}", self.line),
            }
        };
        for (stream, collector) in [("stdout", &mut self.stdout), ("stderr", &mut self.stderr)] {
            assert!(
                collector.wait_for_end(),
                "{} ended, and something it started keeps its {stream} open",
                self.line
            );
        }
        Finished {
            line: std::mem::take(&mut self.line),
            code: code_of(status),
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            logs: self.logs.clone(),
        }
    }

    /// After the end: whether the rest of the output has `part`.
    fn drained(&mut self, part: &str) -> bool {
        self.stdout.wait_for_end();
        self.stderr.wait_for_end();
        [&self.stdout, &self.stderr]
            .iter()
            .any(|collector| String::from_utf8_lossy(&collector.so_far()).contains(part))
    }

    fn report(&self) -> String {
        report(&self.stdout.so_far(), &self.stderr.so_far(), &self.logs)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// What a command line came to.
#[derive(Debug, Clone)]
pub struct Finished {
    line: String,
    code: i32,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: Vec<u8>,
    logs: Vec<PathBuf>,
}

impl Finished {
    /// Its exit status as a shell shows it: 128 + n after signal n.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// Asserts on the exit status.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let same = self.code == code;
        self.check(same, &format!("exit status {code} was expected"))
    }

    /// Asserts that it succeeded.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        self.exits(0)
    }

    /// Asserts that stdout, apart from white space around it, is `text`.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        let same = self.text() == text.trim();
        self.check(same, &format!("stdout {:?} was expected", text.trim()))
    }

    /// Asserts that stdout contains `part`.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        let found = self.text().contains(part);
        self.check(found, &format!("{part:?} was expected on stdout"))
    }

    /// Asserts that stdout does not contain `part`.
    #[track_caller]
    pub fn does_not_say(self, part: &str) -> Self {
        let found = self.text().contains(part);
        self.check(!found, &format!("{part:?} was not expected on stdout"))
    }

    /// Asserts that stderr contains `part`.
    #[track_caller]
    pub fn complains(self, part: &str) -> Self {
        let found = self.errors().contains(part);
        self.check(found, &format!("{part:?} was expected on stderr"))
    }

    /// Asserts that stderr does not contain `part`.
    #[track_caller]
    pub fn does_not_complain(self, part: &str) -> Self {
        let found = self.errors().contains(part);
        self.check(!found, &format!("{part:?} was not expected on stderr"))
    }

    /// Stdout without white space around it.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Stderr.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Stdout and stderr.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.text(), self.errors())
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("{} printed no JSON: {error}\n{}", self.line, self.report()),
        }
    }

    #[track_caller]
    fn check(self, holds: bool, what: &str) -> Self {
        assert!(
            holds,
            "{}: {what}; it exited with {}\n{}",
            self.line,
            self.code,
            self.report()
        );
        self
    }

    fn report(&self) -> String {
        report(&self.stdout, &self.stderr, &self.logs)
    }
}

/// What a pipe has given until now, read by a thread so that no writer waits.
#[derive(Debug)]
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collector {
    fn new(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut chunk = vec![0; 64 << 10];
                while let Ok(count) = pipe.read(&mut chunk) {
                    if count == 0 {
                        break;
                    }
                    shared
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(&chunk[..count]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the pipe ends within seconds of its process.
    fn wait_for_end(&mut self) -> bool {
        let begin = Instant::now();
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) {
            if begin.elapsed() > Duration::from_secs(10) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.reader = None;
        true
    }
}

fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

/// What a person needs to see of a failure.
fn report(stdout: &[u8], stderr: &[u8], logs: &[PathBuf]) -> String {
    const SHOWN: usize = 4000;
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN)..]).into_owned();
    let mut text = format!("--- stdout\n{}\n--- stderr\n{}", shown(stdout), shown(stderr));
    for log in logs.iter().filter_map(|path| std::fs::read(path).ok()) {
        text.push_str("\n--- engine\n");
        text.push_str(&shown(&log));
    }
    text
}
