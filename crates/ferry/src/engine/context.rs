//! Which engine a command is for: `-H`, `--context`, the environment, Docker's current context, or Ferry's own socket.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::InvalidAddress;
use super::{Absence, Address, Roots};

/// What the choice depends on, apart from files.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// `-H`.
    pub(crate) host: Option<String>,
    /// `--context`.
    pub(crate) context: Option<String>,
    /// `FERRY_HOST`, or else `DOCKER_HOST`.
    pub(crate) host_variable: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub(crate) context_variable: Option<String>,
    /// `currentContext` of Docker's config.json.
    pub(crate) current_context: Option<String>,
    /// Folder of Docker's config.json.
    pub(crate) config_dir: PathBuf,
    /// Roots of Ferry's own engine.
    pub(crate) data_root: PathBuf,
    /// As above.
    pub(crate) exec_root: PathBuf,
}

/// The engine that was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Where it listens.
    pub(crate) address: Address,
    /// What to do if nobody answers.
    pub(crate) absence: Absence,
}

/// Why no engine could be chosen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchosen {
    /// `-H` and `--context` name two engines.
    #[error("-H and --context cannot be given together")]
    Both,
    /// The address is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The context is not in Docker's folder.
    #[error("no context {name:?} in {}", path.display())]
    NoContext {
        /// Its name.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: std::io::Error,
    },
    /// The context's file cannot be understood.
    #[error("cannot read the context {name:?} in {}", path.display())]
    BadContext {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The context has certificates.
    #[error("the context {0:?} uses TLS, which this version does not speak")]
    Tls(String),
}

/// Chooses the engine: a flag before a variable before the current context before Ferry's own.
pub(crate) fn choose(surroundings: &Surroundings) -> Result<Choice, Unchosen> {
    if surroundings.host.is_some() && surroundings.context.is_some() {
        return Err(Unchosen::Both);
    }
    if let Some(host) = &surroundings.host {
        return named(host);
    }
    if let Some(context) = &surroundings.context {
        return in_context(context, surroundings);
    }
    if let Some(host) = &surroundings.host_variable {
        return named(host);
    }
    if let Some(context) = surroundings
        .context_variable
        .as_ref()
        .or(surroundings.current_context.as_ref())
    {
        return in_context(context, surroundings);
    }
    Ok(own(surroundings))
}

fn named(host: &str) -> Result<Choice, Unchosen> {
    Ok(Choice {
        address: host.parse()?,
        absence: Absence::IsAnError,
    })
}

fn own(surroundings: &Surroundings) -> Choice {
    Choice {
        address: Address::Unix(surroundings.exec_root.join("ferry.sock")),
        absence: Absence::Starts(Roots {
            data: surroundings.data_root.clone(),
            exec: surroundings.exec_root.clone(),
        }),
    }
}

/// The part of `meta.json` that says where the engine is.
#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

fn in_context(name: &str, surroundings: &Surroundings) -> Result<Choice, Unchosen> {
    if name == "default" {
        return Ok(own(surroundings));
    }
    let id = context_id(name);
    let contexts = surroundings.config_dir.join("contexts");
    let path = contexts.join("meta").join(&id).join("meta.json");
    let bytes = std::fs::read(&path).map_err(|source| Unchosen::NoContext {
        name: name.to_owned(),
        path: path.clone(),
        source,
    })?;
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|source| Unchosen::BadContext {
        name: name.to_owned(),
        path,
        source,
    })?;
    if has_certificates(&contexts.join("tls").join(&id)) {
        return Err(Unchosen::Tls(name.to_owned()));
    }
    match metadata.endpoints.docker.and_then(|endpoint| endpoint.host) {
        Some(host) => named(&host),
        None => Ok(own(surroundings)),
    }
}

/// Docker's name for a context's folder: the hash of the context's name.
fn context_id(name: &str) -> String {
    ferry_digest(name.as_bytes())
}

fn ferry_digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn has_certificates(folder: &Path) -> bool {
    std::fs::read_dir(folder.join("docker")).is_ok_and(|mut entries| entries.next().is_some())
}

impl Surroundings {
    /// What the process was given, but for Docker's config.json.
    pub(crate) fn of_process(host: Option<String>, context: Option<String>, config_dir: PathBuf) -> Self {
        Self {
            host,
            context,
            host_variable: variable("FERRY_HOST").or_else(|| variable("DOCKER_HOST")),
            context_variable: variable("DOCKER_CONTEXT"),
            current_context: None,
            config_dir,
            data_root: super::default_data_root(),
            exec_root: super::default_exec_root(),
        }
    }

    /// Whether the current context of config.json decides, so that it must be read.
    pub(crate) fn asks_config(&self) -> bool {
        self.host.is_none() && self.context.is_none() && self.host_variable.is_none() && self.context_variable.is_none()
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(OsString::into_string)
        .and_then(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(folder: &Path) -> Surroundings {
        Surroundings {
            config_dir: folder.to_owned(),
            exec_root: "/run/f".into(),
            data_root: "/var/f".into(),
            ..Surroundings::default()
        }
    }

    #[test]
    fn flags_come_before_variables_before_the_current_context() {
        let folder = tempfile::tempdir().expect("a folder");
        let meta = folder.path().join("contexts/meta").join(context_id("far"));
        std::fs::create_dir_all(&meta).expect("folders");
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://10.0.0.1:1","SkipTLSVerify":false}}}"#,
        )
        .expect("a file");
        let mut s = surroundings(folder.path());
        let chosen = |s: &Surroundings| choose(s).expect("a choice").address.to_string();
        assert_eq!(chosen(&s), "unix:///run/f/ferry.sock");
        s.current_context = Some("far".into());
        assert_eq!(chosen(&s), "tcp://10.0.0.1:1");
        s.context_variable = Some("default".into());
        assert_eq!(chosen(&s), "unix:///run/f/ferry.sock");
        s.host_variable = Some("unix:///v".into());
        assert_eq!(chosen(&s), "unix:///v");
        s.context = Some("far".into());
        assert_eq!(chosen(&s), "tcp://10.0.0.1:1");
        s.host = Some("unix:///h".into());
        assert!(matches!(choose(&s), Err(Unchosen::Both)));
    }

    #[test]
    fn a_context_that_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut s = surroundings(folder.path());
        s.context = Some("gone".into());
        let error = choose(&s).expect_err("no such context").to_string();
        assert!(error.starts_with("no context \"gone\" in "), "{error}");
    }
}
