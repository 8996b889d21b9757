//! Debian's Docker: its unmodified client beside a Ferry, and its engine as a peer of one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::engine::Engine;
use crate::host::workspace;
use crate::image::parts;
use crate::shell::Shell;
use crate::skip::skip;

/// A shell whose `docker`, with buildx and compose, talks to `engine`; `None`, said aloud, without the client.
pub fn docker_client(engine: &Engine) -> Option<Shell> {
    let root = root()?;
    let config = engine.host().path("docker-config");
    fs::create_dir_all(&config).expect("a folder for the client's configuration");
    let plugins = serde_json::json!({ "cliPluginsExtraDirs": [root.join("usr/libexec/docker/cli-plugins")] });
    fs::write(config.join("config.json"), plugins.to_string()).expect("a configuration for the client");
    // The client alone: other programs of that root may want another C library than this machine has.
    let link = engine.host().path("bin/docker");
    if !link.exists() {
        symlink(root.join("usr/bin/docker"), &link).expect("a link to the client");
    }
    let host = format!("unix://{}", engine.exec_root().join("ferry.sock").display());
    Some(engine.shell().with("DOCKER_HOST", host).with("DOCKER_CONFIG", config))
}

/// The command that runs others beside a Docker engine (see `bench/peers`); `None`, said aloud, without one.
pub fn docker_engine() -> Option<String> {
    let folder = root()?.parent()?.display().to_string();
    let command = workspace().join("bench/peers");
    Some(format!("PEERS_DIR={folder} {}", command.display()))
}

/// The root that holds Docker.
fn root() -> Option<PathBuf> {
    let root = parts()?.join("docker/root");
    if root.join(".complete").is_file() {
        return Some(root);
    }
    skip(&format!(
        "Docker in {}: PEERS_ONLY=docker PEERS_DIR=FOLDER/docker bench/peers make",
        root.display()
    ));
    None
}
