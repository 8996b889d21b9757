//! Accounts at registries.

pub(super) mod login;
pub(super) mod logout;

/// Docker Hub, when no registry is named.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The registry's host, from what people paste.
fn domain(text: Option<&str>) -> String {
    let text = text.unwrap_or(DEFAULT_REGISTRY);
    let text = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(text);
    let host = text.split('/').next().unwrap_or(text);
    match host {
        "index.docker.io" | "registry-1.docker.io" | "" => DEFAULT_REGISTRY.to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_by_their_host() {
        for (text, host) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("localhost:5000"), "localhost:5000"),
            (Some("https://reg.example/v2/"), "reg.example"),
        ] {
            assert_eq!(domain(text), host);
        }
    }
}
