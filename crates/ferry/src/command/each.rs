//! One request for each of several names: done side by side, told in order, failures apart.

use std::future::Future;

use futures_util::{StreamExt, stream};

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::terminal;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// Does `act` for each name and prints what it gives, or the name; the outcome is a failure if any failed.
pub(super) async fn name<'n, F>(names: &'n [String], act: impl Fn(&'n str) -> F) -> Outcome
where
    F: Future<Output = Result<Option<String>, Failure>>,
{
    let mut results = stream::iter(names)
        .map(|name| {
            let acting = act(name);
            async move { (name, acting.await) }
        })
        .buffered(AT_ONCE);
    let mut status = ExitStatus::SUCCESS;
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(said) => {
                let line = said.unwrap_or_else(|| name.clone());
                terminal::say(&line)?;
            }
            Err(failure) => {
                failure.report();
                status = failure.status();
            }
        }
    }
    if status == ExitStatus::SUCCESS {
        Ok(status)
    } else {
        Err(Failure::reported().exit(status))
    }
}
