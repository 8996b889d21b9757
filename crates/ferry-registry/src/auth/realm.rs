//! Whether a token server may see the credential of a registry.

use std::net::IpAddr;

use url::Url;

use crate::Error;
use crate::endpoint::{Registry, Scheme, TrustPolicy, authority_of, host_of, is_loopback};

/// Docker Hub's token server.
const DOCKER_HUB_REALM: &str = "auth.docker.io";

/// Whether a credential goes along with a request to a token server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Credential,
    Nothing,
}

/// Parses and judges the realm that `registry`, reached by `scheme`, has named.
///
/// Never from https to http. A credential goes to the registry's own host, to hosts of the same
/// domain, and to those that the user trusts (`trusted`); anonymous requests go anywhere.
pub(super) fn checked_realm(
    registry: &Registry,
    scheme: Scheme,
    realm: &str,
    carries: Carries,
    trusted: &[String],
    policy: &TrustPolicy,
) -> Result<Url, Error> {
    let malformed = || Error::Challenge {
        registry: registry.domain.clone(),
        scheme: format!("Bearer realm={:?}", realm.chars().take(200).collect::<String>()),
    };
    let url = Url::parse(realm).map_err(|_| malformed())?;
    let (Some(host), true) = (url.host_str(), matches!(url.scheme(), "http" | "https")) else {
        return Err(malformed());
    };
    let registry_host = host_of(&registry.authority);
    let own = host_of(host);
    if url.scheme() == "http" {
        let is_plain_both = scheme == Scheme::Http
            && (own.eq_ignore_ascii_case(registry_host) || policy.of(&authority_of(&url)).allows_http());
        if !is_plain_both {
            return Err(Error::InsecureRealm {
                registry: registry.domain.clone(),
                realm: crate::transport::without_secrets(&url),
            });
        }
    }
    let is_listed = || {
        let authority = authority_of(&url);
        trusted
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(own) || listed.eq_ignore_ascii_case(&authority))
    };
    if carries == Carries::Nothing || is_of_registry(registry, own) || is_listed() {
        Ok(url)
    } else {
        Err(Error::UntrustedRealm {
            registry: registry.domain.clone(),
            realm_host: authority_of(&url),
        })
    }
}

/// Whether the token server's host belongs to the registry: the same host on any port, this machine
/// for a registry on this machine, or a host of the same domain (`gitlab.com` for
/// `registry.gitlab.com`, `api.example.com` for `registry.example.com`).
fn is_of_registry(registry: &Registry, realm_host: &str) -> bool {
    let registry_host = host_of(&registry.authority);
    if realm_host.eq_ignore_ascii_case(registry_host) {
        return true;
    }
    if registry.domain == "docker.io" {
        return realm_host.eq_ignore_ascii_case(DOCKER_HUB_REALM);
    }
    if is_loopback(registry_host) || is_loopback(realm_host) {
        return is_loopback(registry_host) && is_loopback(realm_host);
    }
    if [registry_host, realm_host]
        .iter()
        .any(|host| host.parse::<IpAddr>().is_ok())
    {
        return false;
    }
    match (site(registry_host), site(realm_host)) {
        (Some(registry), Some(realm)) => registry.eq_ignore_ascii_case(realm),
        _ => false,
    }
}

/// The part of a host that one owner holds: the last two labels, or three below a country's
/// short second-level label (`co.uk`, `com.au`) and below known hosting domains, whose
/// customers do not belong together.
fn site(host: &str) -> Option<&str> {
    const HOSTING: &[&str] = &[
        "azurecr.io",
        "amazonaws.com",
        "github.io",
        "gitlab.io",
        "cloudfront.net",
        "appspot.com",
        "run.app",
        "pkg.dev",
    ];
    let host = host.strip_suffix('.').unwrap_or(host);
    if HOSTING.iter().any(|domain| host.ends_with(&format!(".{domain}"))) {
        return Some(host);
    }
    let mut dots = host.rmatch_indices('.').map(|(at, _)| at);
    let (top, second) = (dots.next()?, dots.next());
    let second_label = &host[second.map_or(0, |at| at + 1)..top];
    let is_country_suffix = host.len() - top - 1 == 2 && second_label.len() <= 3;
    if !is_country_suffix {
        return Some(&host[second.map_or(0, |at| at + 1)..]);
    }
    second?;
    Some(&host[dots.next().map_or(0, |at| at + 1)..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn check(registry: &str, scheme: Scheme, realm: &str, carries: Carries) -> &'static str {
        let config = Config {
            insecure: vec!["plain.example:5000".into()],
            ..Config::default()
        };
        let policy = TrustPolicy::new(&config).unwrap();
        let registry = Registry::new(registry, &policy);
        let trusted = ["api.trusted.example".to_owned()];
        match checked_realm(&registry, scheme, realm, carries, &trusted, &policy) {
            Ok(_) => "ok",
            Err(Error::UntrustedRealm { .. }) => "untrusted",
            Err(Error::InsecureRealm { .. }) => "insecure",
            Err(_) => "malformed",
        }
    }

    #[test]
    fn credentials_stay_within_the_registrys_domain() {
        use Carries::{Credential, Nothing};
        use Scheme::{Http, Https};
        for (registry, scheme, realm, carries, expected) in [
            ("docker.io", Https, "https://auth.docker.io/token", Credential, "ok"),
            (
                "docker.io",
                Https,
                "https://auth.docker.io.evil.example/token",
                Credential,
                "untrusted",
            ),
            (
                "docker.io",
                Https,
                "http://auth.docker.io/token",
                Credential,
                "insecure",
            ),
            ("ghcr.io", Https, "https://ghcr.io/token", Credential, "ok"),
            (
                "registry.gitlab.com",
                Https,
                "https://gitlab.com/jwt/auth",
                Credential,
                "ok",
            ),
            (
                "registry.example.com:5000",
                Https,
                "https://gitlab.example.com/jwt/auth",
                Credential,
                "ok",
            ),
            (
                "registry.example.com",
                Https,
                "https://evil.test/token",
                Credential,
                "untrusted",
            ),
            ("registry.example.com", Https, "https://evil.test/token", Nothing, "ok"),
            (
                "registry.example.com",
                Https,
                "https://api.trusted.example/token",
                Credential,
                "ok",
            ),
            ("a.co.uk", Https, "https://b.co.uk/token", Credential, "untrusted"),
            ("r.a.co.uk", Https, "https://b.a.co.uk/token", Credential, "ok"),
            (
                "one.azurecr.io",
                Https,
                "https://two.azurecr.io/token",
                Credential,
                "untrusted",
            ),
            (
                "10.0.0.1:5000",
                Https,
                "https://10.0.0.2/token",
                Credential,
                "untrusted",
            ),
            ("localhost:5000", Http, "http://127.0.0.1:5001/token", Credential, "ok"),
            ("localhost:5000", Http, "http://evil.test/token", Credential, "insecure"),
            (
                "localhost:5000",
                Http,
                "https://evil.test/token",
                Credential,
                "untrusted",
            ),
            (
                "localhost:5000",
                Https,
                "http://localhost:5001/token",
                Credential,
                "insecure",
            ),
            (
                "plain.example:5000",
                Http,
                "http://plain.example:5001/token",
                Credential,
                "ok",
            ),
            ("evil.test", Https, "https://localhost/token", Credential, "untrusted"),
            ("example.com", Https, "ftp://example.com/", Credential, "malformed"),
            ("example.com", Https, "", Credential, "malformed"),
            ("example.com", Https, "/token", Nothing, "malformed"),
        ] {
            assert_eq!(
                check(registry, scheme, realm, carries),
                expected,
                "{registry} {realm} {carries:?}"
            );
        }
    }
}
