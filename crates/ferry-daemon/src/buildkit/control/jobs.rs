//! The builds that clients have named, so that their progress and their results are found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::Status;

use super::job::Job;

/// How long a call may come before the `Solve` that it belongs to: clients send them at the same time.
const EARLY: Duration = Duration::from_secs(10);
/// How long a finished build is still found: a cached build can end before its client asks for its progress.
const LATE: Duration = Duration::from_secs(10);
/// Longest name of a build, in bytes; BuildKit's clients send 25.
const MAX_REF_BYTES: usize = 256;

/// The builds that are known by name; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<HashMap<String, Arc<Job>>>,
    added: Notify,
}

/// A build under its name. When dropped the job is over: cancelled if it still runs, soon forgotten.
#[derive(Debug)]
pub(crate) struct Registered {
    jobs: Jobs,
    name: String,
    job: Arc<Job>,
}

impl Jobs {
    /// Registers a new build under the name that its client chose.
    pub(crate) fn register(&self, name: &str, job: Job) -> Result<Registered, Status> {
        if name.is_empty() || name.len() > MAX_REF_BYTES {
            return Err(Status::invalid_argument(format!(
                "invalid build reference: it must have 1 to {MAX_REF_BYTES} bytes"
            )));
        }
        let job = Arc::new(job);
        let mut known = self.lock();
        if known.contains_key(name) {
            return Err(Status::already_exists(format!("job ID {name} exists")));
        }
        known.insert(name.to_owned(), Arc::clone(&job));
        drop(known);
        self.shared.added.notify_waiters();
        Ok(Registered {
            jobs: self.clone(),
            name: name.to_owned(),
            job,
        })
    }

    /// Finds a build by name, waiting a little for one that is about to be registered.
    pub(crate) async fn find(&self, name: &str) -> Result<Arc<Job>, Status> {
        let search = async {
            loop {
                let added = self.shared.added.notified();
                tokio::pin!(added);
                added.as_mut().enable();
                if let Some(job) = self.lock().get(name).cloned() {
                    return job;
                }
                added.await;
            }
        };
        tokio::time::timeout(EARLY, search)
            .await
            .map_err(|_elapsed| Status::not_found(format!("no such job {name}")))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Job>>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// The build.
    pub(crate) fn job(&self) -> &Arc<Job> {
        &self.job
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.job.end();
        let jobs = self.jobs.clone();
        let name = std::mem::take(&mut self.name);
        let forget = move || {
            jobs.lock().remove(&name);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    tokio::time::sleep(LATE).await;
                    forget();
                });
            }
            Err(_no_runtime) => forget(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_build_is_found_a_little_early_and_a_little_late() {
        let jobs = Jobs::default();
        let early = tokio::spawn({
            let jobs = jobs.clone();
            async move { jobs.find("a").await.map(drop) }
        });
        tokio::task::yield_now().await;
        let registered = jobs.register("a", Job::default()).expect("a free name");
        assert!(early.await.expect("no panic").is_ok());
        assert_eq!(
            jobs.register("a", Job::default()).err().map(|status| status.code()),
            Some(tonic::Code::AlreadyExists)
        );
        let job = Arc::clone(registered.job());
        drop(registered);
        job.ended().await;
        assert!(
            jobs.find("a").await.is_ok(),
            "for clients that ask for the progress late"
        );
        tokio::time::sleep(LATE * 2).await;
        assert!(jobs.find("a").await.is_err());
        assert!(jobs.register("", Job::default()).is_err());
    }

    #[tokio::test]
    async fn only_the_client_s_first_word_counts() {
        let (job, returned) = Job::driven_by_client("s1".parse().expect("an id"));
        assert_eq!(job.driver().expect("a session").to_string(), "s1");
        assert!(job.result("nothing").is_err());
        job.give_back(Ok(None)).expect("first");
        assert!(job.give_back(Ok(None)).is_err());
        assert!(matches!(returned.await, Ok(Ok(None))));
        assert!(Job::default().driver().is_err(), "a build that the engine drives");
    }
}
