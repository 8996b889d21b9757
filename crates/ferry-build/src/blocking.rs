//! Work that blocks, on tokio's threads for it.

/// Runs `work` where it may block. A panic in it goes on here: it is a broken invariant of ours.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down: nobody will look at the answer.
            Err(_) => std::future::pending().await,
        },
    }
}
