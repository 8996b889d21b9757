//! Docker's `config.json`: where it is, its fields that concern this client, and changes that leave all others alone.

mod credential_helper;
mod credentials;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub(crate) use credentials::{Account, Kept, hub_key};

/// Why config.json or a credential helper cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not JSON, or not an object.
    #[error("cannot understand {}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A credential helper failed.
    #[error("the credential helper {program} failed to {verb} the credentials of {server}: {reason}")]
    Helper {
        /// `docker-credential-x`.
        program: String,
        /// `get`, `store` or `erase`.
        verb: &'static str,
        /// The registry.
        server: String,
        /// Its words, or why it could not be run.
        reason: String,
    },
}

/// Docker's `config.json`, read when it is first needed.
#[derive(Debug)]
pub(crate) struct Config {
    path: PathBuf,
    fields: Map<String, Value>,
}

/// The folder of config.json: `--config`, `DOCKER_CONFIG`, or `~/.docker`.
pub(crate) fn folder(flag: Option<&Path>) -> PathBuf {
    if let Some(flag) = flag {
        return flag.to_owned();
    }
    match std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker"),
    }
}

impl Config {
    /// Reads `config.json` in `folder`; a missing file is an empty one.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let fields = match fs::read(&path) {
            Ok(bytes) if bytes.trim_ascii().is_empty() => Map::new(),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Parse {
                path: path.clone(),
                reason: error.to_string(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(source) => return Err(Error::Read { path, source }),
        };
        Ok(Self { path, fields })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A text field that is not empty, as `detachKeys` or `currentContext`.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    /// The proxies that containers and builds are told of, as environment variables: `proxies` of `host`, or of `default`.
    pub(crate) fn proxies(&self, host: &str) -> Vec<(String, String)> {
        let Some(proxies) = self.fields.get("proxies") else {
            return Vec::new();
        };
        let chosen = proxies.get(host).or_else(|| proxies.get("default"));
        [
            ("httpProxy", "HTTP_PROXY"),
            ("httpsProxy", "HTTPS_PROXY"),
            ("ftpProxy", "FTP_PROXY"),
            ("noProxy", "NO_PROXY"),
            ("allProxy", "ALL_PROXY"),
        ]
        .iter()
        .filter_map(|(field, name)| Some((name, chosen?.get(field)?.as_str()?)))
        .flat_map(|(name, value)| {
            [
                ((*name).to_owned(), value.to_owned()),
                (name.to_lowercase(), value.to_owned()),
            ]
        })
        .collect()
    }

    /// Replaces the file at once, readable by its owner alone, through a link if it is one.
    fn write(&self) -> Result<(), Error> {
        // A link to a file kept elsewhere stays a link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let failed = |source| Error::Write {
            path: path.clone(),
            source,
        };
        let Some(folder) = path.parent() else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        let mut text = serde_json::to_string_pretty(&self.fields).map_err(|error| failed(error.into()))?;
        // Docker indents by a tab; a file that both write should not change its looks.
        text = tabs(&text);
        let partial = folder.join(format!(".config.json.{}", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            // The owner stays who it was, as when root logs in for a user.
            if let Ok(old) = fs::metadata(&path) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&partial);
            failed(source)
        })
    }
}

/// Two spaces of indentation become a tab.
fn tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let body = line.trim_start_matches(' ');
        for _ in 0..(line.len() - body.len()) / 2 {
            out.push('\t');
        }
        out.push_str(body);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_told_in_both_cases() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(
            folder.path().join("config.json"),
            r#"{"proxies":{"default":{"httpProxy":"http://p"}},"detachKeys":"ctrl-a"}"#,
        )
        .expect("a file");
        let config = Config::read(folder.path()).expect("a config");
        assert_eq!(
            config.proxies("unix:///x"),
            [
                ("HTTP_PROXY".into(), "http://p".into()),
                ("http_proxy".into(), "http://p".into())
            ]
        );
        assert_eq!(config.text("detachKeys"), Some("ctrl-a"));
        assert_eq!(config.text("credsStore"), None);
    }

    #[test]
    fn a_file_that_is_no_json_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("config.json"), "{\n x").expect("a file");
        let error = Config::read(folder.path()).expect_err("no JSON").to_string();
        assert!(error.contains("config.json") && error.contains("line 2"), "{error}");
    }
}
