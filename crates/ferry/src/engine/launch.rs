//! Starts Ferry's own engine when nobody answers on its socket; of several clients at once, one does.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::{Absence, Address, Engine, Error, connection, request};

/// How long an engine may take until it answers, a recovery after a crash included.
const START_LIMIT: Duration = Duration::from_secs(30);
/// First pause between two looks at the socket; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two looks at the socket.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// How much of the engine's log an error quotes (bytes).
const TAIL_BYTES: u64 = 4096;

/// The folders that tell one engine from another on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots {
    /// Images, layers, records: what survives a boot.
    pub(crate) data: PathBuf,
    /// Sockets, locks, monitors: what does not.
    pub(crate) exec: PathBuf,
}

/// The file that a client locks while it starts an engine.
fn lock_of(exec_root: &Path) -> PathBuf {
    exec_root.join("start.lock")
}

/// Starts the engine with `roots` and returns when it answers at `address`.
pub(super) async fn start(address: &Address, roots: &Roots) -> Result<(), Error> {
    let lock = lock(&roots.exec)?;
    // Another client may have started it while this one waited for the lock.
    match connection::open(address).await {
        Ok(_) => return Ok(()),
        Err(error) if error.nobody_listens() => {}
        Err(error) => return Err(error),
    }
    let log_path = roots.exec.join("engine.log");
    let mut log = open_log(&log_path).map_err(prepare(&log_path))?;
    let begin = log.seek(SeekFrom::End(0)).map_err(prepare(&log_path))?;
    let mut child = spawn(roots, &log).map_err(prepare(&log_path))?;
    let result = until_it_answers(address, &mut child).await;
    if result.is_ok() && !is_the_engine(&roots.exec, &child) {
        // Another one has the folders: this one, which waits for them, must not take them over later.
        let _ = child.kill();
        let _ = child.wait();
    }
    drop(lock);
    result.map_err(|reason| Error::NotStarted {
        reason,
        tail: tail(&log_path, begin),
    })
}

fn lock(exec_root: &Path) -> Result<File, Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o710)
        .create(exec_root)
        .map_err(prepare(exec_root))?;
    let path = lock_of(exec_root);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(prepare(&path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|errno| prepare(&path)(errno.into()))?;
    Ok(file)
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

fn spawn(roots: &Roots, log: &File) -> io::Result<Child> {
    // The path shows in process lists; a binary that was replaced since is still there as /proc/self/exe.
    let program = std::env::current_exe()
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    Command::new(program)
        .arg0("ferry")
        .args(["daemon", "--detached", "--data-root"])
        .arg(&roots.data)
        .arg("--exec-root")
        .arg(&roots.exec)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .current_dir("/")
        .spawn()
}

/// Whether the engine that has the folder is this process.
fn is_the_engine(exec_root: &Path, child: &Child) -> bool {
    std::fs::read_to_string(exec_root.join(ferry_daemon::PID_FILE))
        .is_ok_and(|pid| pid.trim() == child.id().to_string())
}

/// Gives the reason when it does not.
async fn until_it_answers(address: &Address, child: &mut Child) -> Result<(), String> {
    let begin = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if connection::open(address).await.is_ok() {
            let probe = Engine::new(address.clone(), Absence::IsAnError, None);
            let left = START_LIMIT.saturating_sub(begin.elapsed());
            match tokio::time::timeout(left, request::ping(&probe)).await {
                Ok(Ok(_)) => return Ok(()),
                // An engine that dies just now still listened: ours is to come.
                Ok(Err(_)) => {}
                Err(_) => return Err("it listens and does not answer".to_owned()),
            }
        }
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Err(error) => return Err(error.to_string()),
        }
        if begin.elapsed() > START_LIMIT {
            return Err(format!("it did not listen within {} s", START_LIMIT.as_secs()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The last lines that the engine wrote after `begin`.
fn tail(path: &Path, begin: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let end = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(begin.max(end.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

fn prepare(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Prepare {
        path: path.to_owned(),
        source,
    }
}
