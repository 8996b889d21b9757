//! The client's files as the builder asks for them, received over the client's session.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ferry_build::{Context, ContextFile, ContextFilter, ErrorClass, PortError, Secret};
use ferry_engine::build::context::{ContextError, ContextKey, Contexts, Tree};
use tokio::sync::OnceCell;

use super::control::Activity;
use super::session::Session;
use super::session::file_sync::{self, SyncError, SyncRequest};
use super::session::secrets;

/// The ignore file of a whole context.
const IGNORE_FILE: &str = ".dockerignore";
/// The name that a Dockerfile has when nothing else is said; in lower case it is found, too.
const DEFAULT_DOCKERFILE: &str = "Dockerfile";

/// Where files of a build come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A directory of the client, of which only what is needed comes.
    Directory(ClientDirectory),
    /// An archive, which came whole.
    Archive(Arc<Tree>),
}

/// A directory of a client.
#[derive(Debug, Clone)]
pub(super) struct ClientDirectory {
    /// The session that sends it.
    pub(super) session: Session,
    /// Its name in that session.
    pub(super) name: String,
}

/// The files of one build. Directories that were received stay as they are until this is dropped.
#[derive(Debug)]
pub(super) struct SessionContext {
    contexts: Contexts,
    activity: Activity,
    dockerfile: Source,
    context: Source,
    /// The session that secrets are asked of.
    session: Session,
    /// The Dockerfile, relative to its directory.
    file: String,
    dockerfile_tree: OnceCell<Arc<Tree>>,
    /// Trees that paths were given out of.
    held: Mutex<Vec<Arc<Tree>>>,
}

impl SessionContext {
    /// The files of the build whose Dockerfile is `file` in `dockerfile`.
    pub(super) fn new(
        contexts: Contexts,
        activity: Activity,
        dockerfile: Source,
        file: String,
        context: Source,
        session: Session,
    ) -> Self {
        Self {
            contexts,
            activity,
            dockerfile,
            context,
            session,
            file,
            dockerfile_tree: OnceCell::new(),
            held: Mutex::default(),
        }
    }

    /// The Dockerfile and what lies beside it, received once.
    async fn dockerfile_tree(&self) -> Result<&Arc<Tree>, PortError> {
        let receive = || async {
            let mut follow_paths = vec![self.file.clone(), beside(&self.file)];
            follow_paths.extend(lower_case(&self.file));
            let step = format!("[internal] load build definition from {}", self.file);
            self.receive(&self.dockerfile, "", &step, follow_paths, Vec::new())
                .await
        };
        self.dockerfile_tree.get_or_try_init(receive).await
    }

    async fn receive(
        &self,
        source: &Source,
        part: &str,
        step: &str,
        follow_paths: Vec<String>,
        exclude_patterns: Vec<String>,
    ) -> Result<Arc<Tree>, PortError> {
        let directory = match source {
            Source::Directory(directory) => directory,
            Source::Archive(tree) => return Ok(Arc::clone(tree)),
        };
        let request = SyncRequest {
            directory: directory.name.clone(),
            follow_paths,
            exclude_patterns,
            ..SyncRequest::default()
        };
        let receiving = match directory.session.shared_key() {
            "" => self.contexts.receive_once(),
            key => {
                let name = format!("{}\0{part}", directory.name);
                self.contexts.receive(&ContextKey::new(key, &name))
            }
        };
        match file_sync::receive(&directory.session, &request, receiving).await {
            Ok(received) => {
                self.activity.transferred(step, received.content_bytes);
                Ok(received.tree)
            }
            Err(error) => Err(PortError::new(class(&error), error)),
        }
    }
}

#[async_trait]
impl Context for SessionContext {
    async fn read(&self, file: ContextFile, limit_bytes: u64) -> Result<Option<Vec<u8>>, PortError> {
        let (tree, names) = match file {
            ContextFile::Dockerfile => {
                let mut names = vec![self.file.clone()];
                names.extend(lower_case(&self.file));
                (Arc::clone(self.dockerfile_tree().await?), names)
            }
            ContextFile::DockerfileIgnore => {
                let tree = Arc::clone(self.dockerfile_tree().await?);
                (tree, vec![beside(&self.file)])
            }
            ContextFile::Ignore => {
                let names = vec![IGNORE_FILE.to_owned()];
                let step = format!("[internal] load {IGNORE_FILE}");
                let tree = self
                    .receive(&self.context, IGNORE_FILE, &step, names.clone(), Vec::new())
                    .await?;
                (tree, names)
            }
        };
        for name in names {
            let content = tree.read(&name, limit_bytes).map_err(unreadable)?;
            if content.is_some() {
                return Ok(content);
            }
        }
        Ok(None)
    }

    async fn sync(&self, filter: &ContextFilter) -> Result<PathBuf, PortError> {
        let tree = self
            .receive(
                &self.context,
                "",
                "[internal] load build context",
                filter.follow_paths.clone(),
                filter.exclude_patterns.clone(),
            )
            .await?;
        let path = tree.path().to_owned();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(tree);
        Ok(path)
    }

    async fn secret(&self, id: &str) -> Result<Option<Secret>, PortError> {
        secrets::get(&self.session, id)
            .await
            .map_err(|error| PortError::new(ErrorClass::Invalid, error))
    }
}

/// The ignore file of one Dockerfile lies beside it.
fn beside(dockerfile: &str) -> String {
    format!("{dockerfile}{IGNORE_FILE}")
}

/// `dockerfile` for `Dockerfile`, in the same directory; nothing for other names.
fn lower_case(dockerfile: &str) -> Option<String> {
    let directory = dockerfile.strip_suffix(DEFAULT_DOCKERFILE)?;
    let is_whole_name = directory.is_empty() || directory.ends_with('/');
    is_whole_name.then(|| format!("{directory}{}", DEFAULT_DOCKERFILE.to_ascii_lowercase()))
}

fn class(error: &SyncError) -> ErrorClass {
    match error {
        SyncError::Client { .. } | SyncError::Kind { .. } | SyncError::Session(_) | SyncError::Protocol(_) => {
            ErrorClass::Invalid
        }
        SyncError::Call { .. } | SyncError::Interrupted => ErrorClass::Unavailable,
        SyncError::Context(error) => context_class(error),
    }
}

fn context_class(error: &ContextError) -> ErrorClass {
    match error {
        ContextError::Io { .. } => ErrorClass::Internal,
        _ => ErrorClass::Invalid,
    }
}

fn unreadable(error: ContextError) -> PortError {
    PortError::new(context_class(&error), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_dockerfile() {
        assert_eq!(beside("a/Dockerfile"), "a/Dockerfile.dockerignore");
        assert_eq!(lower_case("Dockerfile").as_deref(), Some("dockerfile"));
        assert_eq!(lower_case("a/Dockerfile").as_deref(), Some("a/dockerfile"));
        assert_eq!(lower_case("My.Dockerfile"), None);
        assert_eq!(lower_case("app"), None);
    }
}
