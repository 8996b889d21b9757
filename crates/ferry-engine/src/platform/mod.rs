//! Lists the CPUs that Ferry knows, and how programs of each run on this host.

use ferry_oci::Platform;
use ferry_runtime::emulation::{Entry, Support};
use serde::{Deserialize, Serialize};

use crate::Engine;

/// How programs of one platform run here. The answer of `/ferry/v1/platforms` is a list of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PlatformReport {
    /// The platform.
    pub platform: String,
    /// How its programs run.
    pub support: PlatformSupport,
    /// The emulator's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulator: Option<String>,
    /// The emulator's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it is missing, and the remedy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How programs of a platform run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlatformSupport {
    /// By the CPU itself.
    Native,
    /// By an emulator that Ferry brings into containers.
    Emulated,
    /// By an interpreter that the host has registered for everybody.
    Registered,
    /// Not at all.
    Missing,
}

impl Engine {
    /// Every CPU that Ferry knows. Blocks when emulators have not been looked for yet.
    pub fn platforms(&self) -> Vec<PlatformReport> {
        self.emulators().iter().map(report).collect()
    }
}

fn report(entry: &Entry) -> PlatformReport {
    let platform: Platform = entry.cpu.platform();
    let mut report = PlatformReport {
        platform: platform.to_string(),
        support: PlatformSupport::Native,
        emulator: None,
        version: None,
        reason: None,
    };
    match &entry.support {
        Support::Native => {}
        Support::Emulated(emulator) => {
            report.support = PlatformSupport::Emulated;
            report.emulator = Some(emulator.path.display().to_string());
            report.version = emulator
                .version
                .map(|is| format!("{}.{}.{}", is.major, is.minor, is.patch));
        }
        Support::GloballyRegistered(registration) => {
            report.support = PlatformSupport::Registered;
            report.emulator = Some(registration.interpreter.display().to_string());
        }
        Support::Missing { packages } => {
            report.support = PlatformSupport::Missing;
            let refused: String = entry
                .refused
                .iter()
                .map(|refusal| format!("{}: {}; ", refusal.path.display(), refusal.reason))
                .collect();
            report.reason = Some(format!("{refused}install one of the packages {}", packages.join(", ")));
        }
    }
    report
}
