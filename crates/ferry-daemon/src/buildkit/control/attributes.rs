//! A frontend's attributes — a flat map of strings — as a build request.
//!
//! Source: BuildKit frontend/dockerui/config.go. Attributes that ask for what Ferry does not do yet are
//! refused by name; those that only describe the client are passed over.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ferry_build::{BuildRequest, CacheUse, Form, PullPolicy, StepLimits, StepNetwork};
use ferry_oci::Platform;

use crate::buildkit::session::upload;

/// Platforms that one build may be for.
const MAX_PLATFORMS: usize = 64;

/// What a frontend was asked to build.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The build itself.
    pub(super) request: BuildRequest,
    /// Where its files are.
    pub(super) context: ContextNames,
}

/// Where a build's files are, in the client's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContextNames {
    /// The Dockerfile, relative to the directory `dockerfile_dir`.
    pub(super) file: String,
    /// Name of the directory that holds the Dockerfile.
    pub(super) dockerfile_dir: String,
    /// Name of the directory that is the context.
    pub(super) context_dir: String,
    /// The path of the stream that the context comes by, in place of a directory.
    pub(super) upload: Option<String>,
    /// Whether the Dockerfile is not in that stream but in a directory of its own.
    pub(super) has_own_dockerfile_dir: bool,
    /// Sessions of directories that are in another session than the build's, by the directory's name.
    pub(super) sessions: BTreeMap<String, String>,
}

/// An attribute that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AttributeError {
    /// Its value is malformed.
    #[error("invalid {key} {value:?}: {reason}")]
    Invalid {
        /// The attribute.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It asks for what Ferry does not do yet.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What it asks for, in the words of the command line.
        what: String,
    },
}

/// Reads the attributes of one build.
pub(super) fn read(attributes: &HashMap<String, String>) -> Result<Asked, AttributeError> {
    refuse_unsupported(attributes)?;
    let get = |key: &str| {
        attributes
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let file = get("filename").unwrap_or("Dockerfile");
    let context = ContextNames {
        file: file.to_owned(),
        dockerfile_dir: get("dockerfilekey").unwrap_or("dockerfile").to_owned(),
        context_dir: get("contextkey").unwrap_or("context").to_owned(),
        upload: get("context").and_then(upload::path_of).map(str::to_owned),
        has_own_dockerfile_dir: get("dockerfilekey").is_some(),
        sessions: with_prefix(attributes, "local-sessionid:"),
    };
    let platforms = platforms(get("platform").unwrap_or_default())?;
    let request = BuildRequest {
        dockerfile_name: file.to_owned(),
        form: form(get("multi-platform"), &platforms)?,
        platforms,
        build_platform: Platform::host(),
        target: get("target").map(str::to_owned),
        build_args: with_prefix(attributes, "build-arg:"),
        labels: with_prefix(attributes, "label:"),
        cache: match attributes.get("no-cache").map(String::as_str) {
            None => CacheUse::All,
            Some("") => CacheUse::None,
            Some(stages) => CacheUse::Except(stages.split(',').map(str::to_owned).collect()),
        },
        pull: pull_policy(get("image-resolve-mode").unwrap_or_default())?,
        network: network(get("force-network-mode").unwrap_or_default())?,
        limits: StepLimits {
            hostname: get("hostname").map(str::to_owned),
            hosts: hosts(get("add-hosts").unwrap_or_default())?,
            shm_size_bytes: get("shm-size").map(shm_size).transpose()?,
            ulimits: ulimits(get("ulimit").unwrap_or_default())?,
            cgroup_parent: get("cgroup-parent").map(str::to_owned),
        },
    };
    Ok(Asked { request, context })
}

fn refuse_unsupported(attributes: &HashMap<String, String>) -> Result<(), AttributeError> {
    let unsupported = |what: String| Err(AttributeError::Unsupported { what });
    for (key, value) in attributes {
        match key.as_str() {
            "context" if !value.is_empty() && upload::path_of(value).is_none() => {
                return unsupported(format!(
                    "the build context {value:?}: one that is not a directory of the client"
                ));
            }
            "requestid" if !value.is_empty() => {
                return unsupported(format!("the request {value:?} to the Dockerfile frontend"));
            }
            key if key.starts_with("context:") || key.starts_with("input:") => {
                return unsupported(format!("a named build context ({key})"));
            }
            key if key.starts_with("attest:sbom") => {
                return unsupported("an SBOM attestation".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn with_prefix(attributes: &HashMap<String, String>, prefix: &str) -> BTreeMap<String, String> {
    attributes
        .iter()
        .filter_map(|(key, value)| {
            let name = key.strip_prefix(prefix).filter(|name| !name.is_empty())?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
}

fn platforms(list: &str) -> Result<Vec<Platform>, AttributeError> {
    let mut platforms: Vec<Platform> = Vec::new();
    for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let platform: Platform = if text == "local" {
            Platform::host()
        } else {
            text.parse()
                .map_err(|error: ferry_oci::PlatformError| invalid("platform", text, error))?
        };
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
        if platforms.len() > MAX_PLATFORMS {
            return Err(invalid("platform", list, format!("more than {MAX_PLATFORMS}")));
        }
    }
    Ok(platforms)
}

fn form(multi_platform: Option<&str>, platforms: &[Platform]) -> Result<Form, AttributeError> {
    let Some(text) = multi_platform else {
        return Ok(Form::ByPlatforms);
    };
    match truth(text) {
        Some(true) => Ok(Form::Index),
        Some(false) if platforms.len() > 1 => Err(invalid("multi-platform", text, "several platforms are asked for")),
        Some(false) => Ok(Form::ByPlatforms),
        None => Err(invalid("multi-platform", text, "neither true nor false")),
    }
}

/// Go's `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn pull_policy(mode: &str) -> Result<PullPolicy, AttributeError> {
    match mode {
        // `local` prefers what is here; it forbids nothing.
        "" | "default" | "local" => Ok(PullPolicy::IfMissing),
        "pull" => Ok(PullPolicy::Always),
        _ => Err(invalid("image-resolve-mode", mode, "unknown mode")),
    }
}

fn network(mode: &str) -> Result<StepNetwork, AttributeError> {
    match mode {
        "" | "default" | "sandbox" | "bridge" => Ok(StepNetwork::Default),
        "none" => Ok(StepNetwork::None),
        "host" => Ok(StepNetwork::Host),
        _ => Err(invalid("network", mode, "one of default, none and host was expected")),
    }
}

/// `name=address,name=address`; the last `=` parts them, as names may hold none.
fn hosts(list: &str) -> Result<Vec<(String, IpAddr)>, AttributeError> {
    list.split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            let wrong = |reason: &str| invalid("add-host", text, reason);
            let (name, address) = text.split_once('=').ok_or_else(|| wrong("name=address was expected"))?;
            if name.is_empty() {
                return Err(wrong("the name is empty"));
            }
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let address = address.parse().map_err(|_not_an_address| wrong("not an IP address"))?;
            Ok((name.to_owned(), address))
        })
        .collect()
}

fn shm_size(text: &str) -> Result<u64, AttributeError> {
    text.parse()
        .map_err(|_not_a_number| invalid("shm-size", text, "a number of bytes was expected"))
}

/// `name=soft:hard,…`; one number is both.
fn ulimits(list: &str) -> Result<Vec<(String, u64, u64)>, AttributeError> {
    list.split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            let wrong = |reason: &str| invalid("ulimit", text, reason);
            let (name, limits) = text
                .split_once('=')
                .ok_or_else(|| wrong("name=soft:hard was expected"))?;
            let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
            // -1 is no limit (setrlimit(2) RLIM_INFINITY).
            let number = |text: &str| match text {
                "-1" => Ok(u64::MAX),
                text => text.parse().map_err(|_not_a_number| wrong("a number was expected")),
            };
            let (soft, hard) = (number(soft)?, number(hard)?);
            if soft > hard {
                return Err(wrong("the soft limit is above the hard limit"));
            }
            Ok((name.to_owned(), soft, hard))
        })
        .collect()
}

fn invalid(key: &str, value: &str, reason: impl ToString) -> AttributeError {
    AttributeError::Invalid {
        key: key.to_owned(),
        value: value.chars().take(256).collect(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn everything_that_a_client_may_say() {
        let asked = read(&attributes(&[
            ("filename", "docker/App.Dockerfile"),
            ("platform", "linux/amd64,linux/arm64/v8,linux/amd64"),
            ("target", "run"),
            ("build-arg:A", "1"),
            ("label:b", "2"),
            ("no-cache", "base,run"),
            ("image-resolve-mode", "pull"),
            ("force-network-mode", "none"),
            ("add-hosts", "a=10.0.0.1,b=[::1]"),
            ("shm-size", "1024"),
            ("ulimit", "nofile=1:2,core=-1"),
            ("hostname", "builder"),
            ("attest:provenance", "mode=min,inline-only=true"),
            ("local-sessionid:context", "other"),
            ("sharedkey:localdir:context", "key"),
            ("frontend.caps", "moby.buildkit.frontend.subrequests+forward"),
        ]))
        .expect("attributes");
        let request = asked.request;
        assert_eq!(request.dockerfile_name, "docker/App.Dockerfile");
        let platforms: Vec<String> = request.platforms.iter().map(ToString::to_string).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        assert_eq!(request.target.as_deref(), Some("run"));
        assert_eq!(request.build_args["A"], "1");
        assert_eq!(request.labels["b"], "2");
        assert_eq!(
            request.cache,
            CacheUse::Except(vec!["base".to_owned(), "run".to_owned()])
        );
        assert_eq!(request.pull, PullPolicy::Always);
        assert_eq!(request.network, StepNetwork::None);
        assert_eq!(request.limits.hosts.len(), 2);
        assert_eq!(request.limits.shm_size_bytes, Some(1024));
        assert_eq!(
            request.limits.ulimits,
            [("nofile".to_owned(), 1, 2), ("core".to_owned(), u64::MAX, u64::MAX)]
        );
        assert_eq!(asked.context.sessions["context"], "other");
        assert_eq!(asked.context.dockerfile_dir, "dockerfile");
    }

    #[test]
    fn no_attributes_are_a_plain_build() {
        let asked = read(&HashMap::new()).expect("attributes");
        assert_eq!(asked.context.file, "Dockerfile");
        assert!(asked.request.platforms.is_empty());
        assert_eq!(asked.request.cache, CacheUse::All);
        let all = read(&attributes(&[("no-cache", "")])).expect("no-cache");
        assert_eq!(all.request.cache, CacheUse::None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (key, value) in [
            ("platform", "linux/"),
            ("image-resolve-mode", "often"),
            ("force-network-mode", "container:x"),
            ("add-hosts", "nowhere"),
            ("add-hosts", "a=b"),
            ("shm-size", "1g"),
            ("ulimit", "nofile"),
            ("ulimit", "nofile=2:1"),
            ("multi-platform", "maybe"),
            ("context", "https://example.com/x.git"),
            ("context:base", "docker-image://busybox"),
            ("requestid", "frontend.outline"),
        ] {
            assert!(read(&attributes(&[(key, value)])).is_err(), "{key}={value}");
        }
    }
}
