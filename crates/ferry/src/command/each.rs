//! One request for each of several names: done side by side, told in order, failures apart.

use std::future::Future;

use futures_util::{StreamExt, stream};

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::terminal;

/// Requests under way at once.
const AT_ONCE: usize = 32;

/// What is printed for a name that was dealt with.
pub(super) enum Said {
    /// The name itself.
    Name,
    /// This.
    Text(String),
    /// Nothing.
    Nothing,
}

/// Does `act` for each name and prints what it says; the outcome is a failure if any failed.
pub(super) async fn name<'n, F>(names: &'n [String], act: impl Fn(&'n str) -> F) -> Outcome
where
    F: Future<Output = Result<Said, Failure>>,
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
            Ok(said) => match said {
                Said::Name => terminal::say(name)?,
                Said::Text(text) => terminal::say(&text)?,
                Said::Nothing => {}
            },
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
