//! The client's files as the builder sees them: steering files read at once, the rest when it is needed.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::dockerfile::MAX_DOCKERFILE_BYTES;
use crate::ignore::Ignore;
use crate::{BuildError, BuildRequest, Context, ContextFile, ContextFilter, ErrorClass, PortError};

/// Largest ignore file that is read.
const MAX_IGNORE_BYTES: u64 = 1 << 20;

/// The Dockerfile's bytes.
pub(crate) async fn read_dockerfile(context: &dyn Context, request: &BuildRequest) -> Result<Vec<u8>, BuildError> {
    context
        .read(ContextFile::Dockerfile, MAX_DOCKERFILE_BYTES)
        .await?
        .ok_or_else(|| BuildError::NoDockerfile {
            name: request.dockerfile_name.clone(),
        })
}

/// The ignore rules: of `<Dockerfile>.dockerignore`, or else of `.dockerignore`.
pub(crate) async fn read_ignore(context: &dyn Context, request: &BuildRequest) -> Result<Ignore, BuildError> {
    let own_name = format!("{}.dockerignore", request.dockerfile_name);
    for (file, name) in [
        (ContextFile::DockerfileIgnore, own_name.as_str()),
        (ContextFile::Ignore, ".dockerignore"),
    ] {
        if let Some(bytes) = context.read(file, MAX_IGNORE_BYTES).await? {
            return Ignore::parse(&String::from_utf8_lossy(&bytes)).map_err(|source| BuildError::BadIgnore {
                name: name.to_owned(),
                source,
            });
        }
    }
    Ok(Ignore::default())
}

/// What a build that reads `paths` needs of the context.
pub(crate) fn filter(paths: &BTreeSet<String>, ignore: &Ignore) -> ContextFilter {
    let is_whole = paths.contains("");
    ContextFilter {
        follow_paths: if is_whole {
            Vec::new()
        } else {
            paths.iter().cloned().collect()
        },
        exclude_patterns: ignore.patterns().map(str::to_owned).collect(),
    }
}

/// A context that is a directory of this machine: the engine's own unpacked copy, or a test's.
#[derive(Debug, Clone)]
pub struct LocalContext {
    root: PathBuf,
    dockerfile: PathBuf,
}

impl LocalContext {
    /// The directory `root`, built by the file `dockerfile`, wherever that is.
    pub fn new(root: impl Into<PathBuf>, dockerfile: impl Into<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            root: root.into(),
            dockerfile: dockerfile.into(),
        })
    }

    fn path(&self, file: ContextFile) -> PathBuf {
        match file {
            ContextFile::Dockerfile => self.dockerfile.clone(),
            ContextFile::DockerfileIgnore => {
                let mut name = self.dockerfile.clone().into_os_string();
                name.push(".dockerignore");
                name.into()
            }
            ContextFile::Ignore => self.root.join(".dockerignore"),
        }
    }
}

/// A file of the context that cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileFault {
    #[error("read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is larger than {limit_bytes} bytes", path.display())]
    TooLarge { path: PathBuf, limit_bytes: u64 },
}

#[async_trait]
impl Context for LocalContext {
    async fn read(&self, file: ContextFile, limit_bytes: u64) -> Result<Option<Vec<u8>>, PortError> {
        let path = self.path(file);
        crate::blocking::run(move || {
            read_bounded(&path, limit_bytes).map_err(|fault| PortError::new(ErrorClass::Invalid, fault))
        })
        .await
    }

    async fn sync(&self, _filter: &ContextFilter) -> Result<PathBuf, PortError> {
        Ok(self.root.clone())
    }
}

fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Option<Vec<u8>>, FileFault> {
    let failed = |source| FileFault::Read {
        path: path.to_owned(),
        source,
    };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit_bytes {
        let path = path.to_owned();
        return Err(FileFault::TooLarge { path, limit_bytes });
    }
    Ok(Some(bytes))
}
