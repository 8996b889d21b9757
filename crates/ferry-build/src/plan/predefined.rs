//! ARGs that every build knows without being told: platforms and proxies.

use ferry_oci::Platform;

/// Proxies: given to RUN steps when `--build-arg` sets them, never in history or in cache keys.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// Others that may be set without being declared, and that no warning is due for.
const QUIET: [&str; 8] = [
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_SYNTAX",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_BUILD_NAME",
    "SOURCE_DATE_EPOCH",
];

/// Whether `name` is a proxy's, in lower or in upper case.
pub(crate) fn is_proxy(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PROXIES.contains(&lower.as_str()) && (name == lower || name == name.to_ascii_uppercase())
}

/// Whether `--build-arg name` needs no ARG to make sense.
pub(crate) fn is_predefined(name: &str) -> bool {
    is_proxy(name)
        || QUIET.contains(&name)
        || ["TARGET", "BUILD"].iter().any(|side| {
            name.strip_prefix(side)
                .is_some_and(|rest| ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT", "STAGE"].contains(&rest))
        })
}

/// The platform ARGs with their values.
pub(super) fn platform_args(build: &Platform, target: &Platform, target_stage: &str) -> Vec<(String, String)> {
    let mut args = Vec::new();
    for (side, platform) in [("BUILD", build), ("TARGET", target)] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        for (name, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", text(&platform.os_version)),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", text(&platform.variant)),
        ] {
            args.push((format!("{side}{name}"), value));
        }
    }
    args.push(("TARGETSTAGE".to_owned(), target_stage.to_owned()));
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["http_proxy", "HTTPS_PROXY", "no_proxy"] {
            assert!(is_proxy(name), "{name}");
        }
        assert!(!is_proxy("Http_Proxy"));
        assert!(is_predefined("TARGETARCH") && is_predefined("BUILDPLATFORM"));
        assert!(!is_predefined("BUILD") && !is_predefined("TARGETX"));
    }

    #[test]
    fn values() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let args = platform_args(&platform("linux/amd64"), &platform("linux/arm/v7"), "default");
        let value = |name: &str| &args.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(value("TARGETPLATFORM"), "linux/arm/v7");
        assert_eq!(value("TARGETVARIANT"), "v7");
        assert_eq!(value("BUILDARCH"), "amd64");
        assert_eq!(value("TARGETSTAGE"), "default");
    }
}
