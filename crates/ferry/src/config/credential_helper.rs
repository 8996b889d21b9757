//! Programs that keep credentials: `docker-credential-NAME get|store|erase` (docker-credential-helpers protocol).

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Error;

/// Longest answer of a helper that is read (bytes).
const LONGEST_ANSWER: u64 = 1 << 20;
/// What helpers say when they keep nothing for a registry.
const NOT_FOUND: &str = "credentials not found";

/// What a helper keeps.
#[derive(Serialize, Deserialize)]
pub(super) struct Secret {
    /// The registry.
    #[serde(rename = "ServerURL", default)]
    pub(super) server: String,
    /// User name, or `<token>`.
    #[serde(rename = "Username", default)]
    pub(super) username: String,
    /// Password or token.
    #[serde(rename = "Secret", default)]
    pub(super) secret: String,
}

/// The program that goes by `name` in config.json.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// What the helper keeps for `server`.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Secret>, Error> {
    let answer = match run(name, "get", server, server.as_bytes()) {
        Ok(answer) => answer,
        Err(Error::Helper { reason, .. }) if reason.contains(NOT_FOUND) => return Ok(None),
        Err(error) => return Err(error),
    };
    let secret = serde_json::from_slice(&answer).map_err(|error| Error::Helper {
        program: program(name),
        verb: "get",
        server: server.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(secret))
}

/// Has the helper keep `secret`.
pub(super) fn store(name: &str, secret: &Secret) -> Result<(), Error> {
    // Strings only: cannot fail.
    let input = serde_json::to_vec(secret).unwrap_or_default();
    run(name, "store", &secret.server, &input).map(drop)
}

/// Has the helper forget `server`.
pub(super) fn erase(name: &str, server: &str) -> Result<(), Error> {
    run(name, "erase", server, server.as_bytes()).map(drop)
}

fn run(name: &str, verb: &'static str, server: &str, input: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| Error::Helper {
        program: program(name),
        verb,
        server: server.to_owned(),
        reason,
    };
    let mut child = Command::new(program(name))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends without reading says why on stdout.
        let _ = stdin.write_all(input);
    }
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout
            .take(LONGEST_ANSWER)
            .read_to_end(&mut answer)
            .map_err(|error| failed(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() {
        Ok(answer)
    } else {
        let words = String::from_utf8_lossy(&answer).trim().to_owned();
        Err(failed(if words.is_empty() { status.to_string() } else { words }))
    }
}
