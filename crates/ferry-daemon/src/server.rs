//! Listens, accepts, serves HTTP/1.1 and HTTP/2, and ends in order.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferry_engine::{Engine, EngineOptions};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::router;

/// How the daemon is started.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    /// The engine's folders.
    pub engine: EngineOptions,
    /// The unix socket; access to it is access to root.
    pub socket: PathBuf,
}

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine cannot be opened.
    #[error(transparent)]
    Engine(#[from] ferry_engine::Error),
    /// The executor or a signal handler cannot be set up.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The socket cannot be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Listen {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A client has this long to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the API until SIGTERM or SIGINT. Containers go on.
pub fn serve(options: DaemonOptions) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let served = runtime.block_on(serve_until_told(options));
    // Threads that read from a container or a registry do not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(2));
    served
}

/// More threads than this gain nothing: the work is in processes and in blocking threads.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

/// Name of the file in the exec-root that holds the engine's process id. It is there before the socket answers.
pub const PID_FILE: &str = "ferry.pid";

async fn serve_until_told(options: DaemonOptions) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Start)?;
    // The engine's lock is taken first: what is at the socket's path is then no living engine's.
    let engine = Engine::open(options.engine)?;
    // Before the socket: whoever has been answered finds it.
    let pid_file = engine.instance.exec_root.join(PID_FILE);
    write_pid(&pid_file).map_err(ServeError::Start)?;
    let listener = listen(&options.socket).map_err(|source| ServeError::Listen {
        path: options.socket.clone(),
        source,
    })?;
    tracing::info!(socket = %options.socket.display(), "the engine is ready");
    let service = router::service(engine.clone());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(serve_connection(stream, service.clone()));
                }
                Err(error) => {
                    // Out of descriptors: those who are served may give some back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tracing::info!("the engine ends; containers go on");
    for path in [&options.socket, &pid_file] {
        let _ = std::fs::remove_file(path);
    }
    engine.close().await;
    Ok(())
}

async fn serve_connection(stream: UnixStream, service: router::Service) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let served = server
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Says which process to signal, as dockerd's pid file does.
fn write_pid(path: &Path) -> std::io::Result<()> {
    std::fs::write(path, format!("{}\n", std::process::id()))
}

/// A socket that only its owner and group may use from the first moment on.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = std::os::unix::net::UnixListener::bind(path);
    rustix::process::umask(umask);
    let listener = bound?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}
