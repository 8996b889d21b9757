//! Platforms: `os/architecture[/variant]`, their normal form, and which image runs where.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cpu::Cpu;

/// What an image is made for. Source: OCI image-spec `image-index.md`, property `platform`.
///
/// Built by parsing or by [`Platform::normalized`], it is in normal form: `aarch64` is `arm64`,
/// `arm64/v8` is `arm64`, `armhf` is `arm/v7`, `arm` is `arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// Go's name of the CPU: `amd64`, `arm64`, …
    pub architecture: String,
    /// Variant of the CPU: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system; Windows images carry it.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system; Windows images carry them.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

/// Why a text is not a [`Platform`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform {0:?}: expected os/architecture[/variant], such as linux/arm64 or linux/arm/v7")]
pub struct PlatformError(pub String);

impl Platform {
    /// The platform of the machine that runs this program.
    pub fn host() -> Self {
        Cpu::host().platform()
    }

    /// The normal form of what an image, a registry or a person wrote.
    pub fn normalized(mut self) -> Self {
        self.os.make_ascii_lowercase();
        self.architecture.make_ascii_lowercase();
        if let Some(variant) = &mut self.variant {
            variant.make_ascii_lowercase();
        }
        let variant = self.variant.take().filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (self.architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => ("amd64", None),
            ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
            ("i386" | "i486" | "i586" | "i686" | "x86" | "386", _) => ("386", None),
            ("aarch64" | "arm64", Some("8" | "v8") | None) => ("arm64", None),
            ("aarch64" | "arm64", other) => ("arm64", other),
            ("armhf" | "armv7l" | "armv7", _) => ("arm", Some("v7")),
            ("armel", _) => ("arm", Some("v6")),
            ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("ppc64el" | "ppc64le" | "powerpc64le", other) => ("ppc64le", other),
            (architecture, other) => (architecture, other),
        };
        let (architecture, variant) = (architecture.to_owned(), variant.map(str::to_owned));
        Self {
            architecture,
            variant,
            ..self
        }
    }

    /// Whether an image for this platform runs where `wanted` is asked for: same system and CPU, and
    /// a variant that is not newer than the wanted one.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.variant_distance(wanted).is_some()
    }

    /// How far this platform's variant lies below the wanted one; `None` when it does not fit.
    fn variant_distance(&self, wanted: &Self) -> Option<u32> {
        if self.os != wanted.os || self.architecture != wanted.architecture {
            return None;
        }
        let level = |platform: &Self| -> Option<u32> {
            match platform.variant.as_deref() {
                None => Some(match platform.architecture.as_str() {
                    "arm64" => 8,
                    "arm" => 7,
                    _ => 1,
                }),
                // arm64's later variants are v8.1 … v9.0; only the major step counts here.
                Some(variant) => variant.strip_prefix('v')?.split('.').next()?.parse().ok(),
            }
        };
        match (level(self), level(wanted)) {
            (Some(own), Some(wanted)) => wanted.checked_sub(own),
            _ => (self.variant == wanted.variant).then_some(0),
        }
    }
}

/// The candidate that fits `wanted` best: the one whose variant comes closest from below; the first
/// of equals. Source: containerd's `platforms.Only`, whose order users know.
pub fn best_match<'a, T>(wanted: &Platform, candidates: impl IntoIterator<Item = (&'a Platform, T)>) -> Option<T> {
    candidates
        .into_iter()
        .filter_map(|(platform, item)| Some((platform.variant_distance(wanted)?, item)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, item)| item)
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Parses `os/architecture[/variant]`; one word alone is an architecture of Linux or an
    /// operating system on this machine's CPU.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let error = || PlatformError(text.chars().take(100).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |word: &&str| {
            !word.is_empty()
                && word.len() <= 32
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(is_word) {
            return Err(error());
        }
        let (os, architecture, variant) = match parts[..] {
            ["linux"] => return Ok(Self::host()),
            [architecture] => ("linux", architecture, None),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(error()),
        };
        let platform = Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            os_version: None,
            os_features: Vec::new(),
        }
        .normalized();
        // One word alone must name a CPU: a typing error must not become a platform.
        if parts.len() == 1 && Cpu::of(&platform).is_none() {
            return Err(error());
        }
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// A platform as an index's descriptor carries it, in normal form.
impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform.variant().clone(),
            os_version: platform.os_version().clone(),
            os_features: Vec::new(),
        }
        .normalized()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn texts_become_their_normal_form() {
        for (typed, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("Linux/ARM64", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("linux/ppc64el", "linux/ppc64le"),
            ("riscv64", "linux/riscv64"),
            ("arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(platform(typed).to_string(), normal, "{typed}");
        }
        for typed in ["", "/", "linux/", "a/b/c/d", "linux/am d64", "nonsense", "linux/\n"] {
            assert!(typed.parse::<Platform>().is_err(), "{typed:?}");
        }
    }

    #[test]
    fn the_closest_variant_from_below_wins() {
        let check = |wanted: &str, candidates: &[&str], expected: Option<&str>| {
            let candidates: Vec<_> = candidates.iter().map(|text| platform(text)).collect();
            let best = best_match(&platform(wanted), candidates.iter().map(|p| (p, p)));
            assert_eq!(best.map(ToString::to_string).as_deref(), expected, "{wanted}");
        };
        check(
            "linux/arm/v7",
            &["linux/arm/v5", "linux/arm/v6", "linux/arm64"],
            Some("linux/arm/v6"),
        );
        check("linux/arm/v6", &["linux/arm/v7"], None);
        check("linux/arm64", &["linux/amd64", "linux/arm64/v8"], Some("linux/arm64"));
        check("linux/amd64", &["linux/amd64/v3", "linux/amd64"], Some("linux/amd64"));
        check("linux/amd64", &["windows/amd64"], None);
    }
}
