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
    pub state: PlatformState,
    /// The emulator's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulator: Option<String>,
    /// The emulator's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it is missing and the remedy, or what to know of the emulator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How programs of a platform run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlatformState {
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
        state: PlatformState::Native,
        emulator: None,
        version: None,
        note: None,
    };
    match &entry.support {
        Support::Native => {}
        Support::Emulated(emulator) => {
            report.state = PlatformState::Emulated;
            report.emulator = Some(emulator.path.display().to_string());
            report.version = emulator
                .version
                .map(|is| format!("{}.{}.{}", is.major, is.minor, is.patch));
            let model = emulator.qemu_cpu.as_ref();
            report.note = model.map(|model| format!("old emulator: QEMU_CPU={model} is set in containers"));
        }
        Support::GloballyRegistered(registration) => {
            report.state = PlatformState::Registered;
            report.emulator = Some(registration.interpreter.display().to_string());
        }
        Support::Unregistered { emulator, reason } => {
            report.state = PlatformState::Missing;
            report.emulator = Some(emulator.path.display().to_string());
            report.note = Some(reason.clone());
        }
        Support::Missing { packages } => {
            report.state = PlatformState::Missing;
            let refused: String = entry
                .refused
                .iter()
                .map(|refusal| format!("{}: {}; ", refusal.path.display(), refusal.reason))
                .collect();
            report.note = Some(format!("{refused}install one of the packages {}", packages.join(", ")));
        }
    }
    report
}
