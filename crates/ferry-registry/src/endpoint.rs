//! Where a registry is and how far it is trusted: its host, and what may be skipped for it.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::Url;

use crate::transport::{certificate_folder, is_localhost};
use crate::{Config, Error};

/// Docker Hub's name in references, and the host that serves it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What a host must prove.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// A certificate of one of the host's authorities; never http.
    Verified,
    /// As above, with what this folder of `certs.d` adds.
    Folder(PathBuf),
    /// Nothing: https with any certificate first, then http. The user listed it as insecure.
    Insecure,
    /// Nothing: http first, then https with any certificate. It is this machine.
    Loopback,
}

impl Trust {
    /// Whether plain http is allowed.
    pub(crate) fn allows_http(&self) -> bool {
        matches!(self, Self::Insecure | Self::Loopback)
    }
}

/// The http or https of a registry's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Decides the [`Trust`] of each host.
#[derive(Debug)]
pub(crate) struct TrustPolicy {
    insecure: Vec<InsecurePattern>,
    certificate_dirs: Vec<PathBuf>,
}

#[derive(Debug)]
enum InsecurePattern {
    Network(IpNet),
    /// `host` with any port, or `host:port`.
    Authority(String),
}

impl TrustPolicy {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let parse = |text: &String| {
            if let Ok(network) = text.parse::<IpNet>() {
                return Ok(InsecurePattern::Network(network));
            }
            if text.is_empty() || text.contains('/') || text.contains(char::is_whitespace) {
                let problem = format!("{text:?}: expected host, host:port or CIDR");
                return Err(Error::Setting {
                    setting: "insecure registry",
                    problem,
                });
            }
            Ok(InsecurePattern::Authority(text.to_ascii_lowercase()))
        };
        Ok(Self {
            insecure: config.insecure.iter().map(parse).collect::<Result<_, _>>()?,
            certificate_dirs: config.certificate_dirs.clone(),
        })
    }

    /// The trust in `authority`, `host[:port]`.
    pub(crate) fn of(&self, authority: &str) -> Trust {
        let authority = authority.to_ascii_lowercase();
        let host = host_of(&authority);
        let is_listed = |pattern: &InsecurePattern| match pattern {
            InsecurePattern::Network(network) => ip_of(host).is_some_and(|ip| network.contains(&ip)),
            InsecurePattern::Authority(listed) => *listed == authority || listed == host,
        };
        if self.insecure.iter().any(is_listed) {
            Trust::Insecure
        } else if let Some(folder) = certificate_folder(&self.certificate_dirs, &authority) {
            Trust::Folder(folder)
        } else if is_loopback(host) {
            Trust::Loopback
        } else {
            Trust::Verified
        }
    }
}

/// One registry, as an operation sees it.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    /// As in references and credentials: `docker.io`.
    pub(crate) domain: String,
    /// The host, with port if any, that serves it: `registry-1.docker.io`.
    pub(crate) authority: String,
    pub(crate) trust: Trust,
}

impl Registry {
    pub(crate) fn new(domain: &str, policy: &TrustPolicy) -> Self {
        let authority = if domain == DOCKER_HUB.0 { DOCKER_HUB.1 } else { domain };
        // certs.d is looked up by the name that people use.
        Self {
            domain: domain.to_owned(),
            authority: authority.to_owned(),
            trust: policy.of(domain),
        }
    }

    /// The URL of `path` below `/v2/`.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Result<Url, Error> {
        let text = format!("{}://{}/v2/{path}", scheme.as_str(), self.authority);
        Url::parse(&text).map_err(|error| Error::Setting {
            setting: "registry",
            problem: format!("{}: {error}", self.domain),
        })
    }
}

/// The host without port and without the brackets of IPv6.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.contains(':') => host,
        _ => authority,
    }
}

fn ip_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether `host` (without port) is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    is_localhost(host) || ip_of(host).is_some_and(|ip| ip.is_loopback())
}

/// Same scheme, host and port: what a credential may cross.
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// `host[:port]` of a URL, as references and `certs.d` write it.
pub(crate) fn authority_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_authorities() {
        for (authority, host) in [
            ("docker.io", "docker.io"),
            ("localhost:5000", "localhost"),
            ("[::1]:5000", "::1"),
            ("[::1]", "::1"),
            ("10.0.0.1:80", "10.0.0.1"),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn trust_comes_from_list_folder_or_loopback() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("localhost:5001")).unwrap();
        let policy = TrustPolicy::new(&Config {
            insecure: vec!["plain.example".into(), "one.example:5000".into(), "10.0.0.0/8".into()],
            certificate_dirs: vec![dir.path().to_owned()],
            ..Config::default()
        })
        .unwrap();
        for (authority, expected) in [
            ("docker.io", Trust::Verified),
            ("plain.example", Trust::Insecure),
            ("Plain.Example:5000", Trust::Insecure),
            ("one.example:5000", Trust::Insecure),
            ("one.example", Trust::Verified),
            ("10.1.2.3:5000", Trust::Insecure),
            ("11.1.2.3:5000", Trust::Verified),
            ("localhost:5000", Trust::Loopback),
            ("127.9.9.9", Trust::Loopback),
            ("[::1]:5000", Trust::Loopback),
            ("localhost.evil.example", Trust::Verified),
            ("localhost:5001", Trust::Folder(dir.path().join("localhost:5001"))),
        ] {
            assert_eq!(policy.of(authority), expected, "{authority}");
        }
        let bad = Config {
            insecure: vec!["http://x".into()],
            ..Config::default()
        };
        assert!(TrustPolicy::new(&bad).is_err());
    }
}
