//! The images that tests start from: busybox for seven CPUs, made of Debian packages.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::host::workspace;
use crate::skip::skip;

/// A CPU that images are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// As it is written in commands: `linux/arm/v7`.
    pub name: &'static str,
    /// What `uname -m` says there.
    pub machine: &'static str,
}

/// The seven CPUs.
pub const PLATFORMS: [Platform; 7] = [
    Platform {
        name: "linux/amd64",
        machine: "x86_64",
    },
    Platform {
        name: "linux/arm64",
        machine: "aarch64",
    },
    Platform {
        name: "linux/arm/v7",
        machine: "armv7l",
    },
    Platform {
        name: "linux/386",
        machine: "i686",
    },
    Platform {
        name: "linux/riscv64",
        machine: "riscv64",
    },
    Platform {
        name: "linux/s390x",
        machine: "s390x",
    },
    Platform {
        name: "linux/ppc64le",
        machine: "ppc64le",
    },
];

/// The platform of the machine that runs the tests.
pub fn host_platform() -> Platform {
    let machine = std::env::consts::ARCH;
    *PLATFORMS
        .iter()
        .find(|platform| platform.machine == machine)
        .unwrap_or_else(|| panic!("the tests know no platform for {machine}"))
}

/// The parts from Debian that `scripts/debian-parts` fetched: `FERRY_TEST_PARTS`, or `target/test/parts`.
pub(crate) fn parts() -> Option<PathBuf> {
    let folder = match std::env::var_os("FERRY_TEST_PARTS") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target/test/parts"),
    };
    if folder.join("busybox").is_dir() {
        return Some(folder);
    }
    skip(&format!(
        "parts from Debian in {}: scripts/debian-parts FOLDER",
        folder.display()
    ));
    None
}

/// The folder with an emulator for each CPU; `None`, said aloud, where it is missing.
pub(crate) fn emulators() -> Option<PathBuf> {
    parts().map(|folder| folder.join("emulators"))
}

/// The build context of a busybox image for seven CPUs; `None`, said aloud, where its parts are missing.
pub(crate) fn busybox_context() -> Option<PathBuf> {
    static CONTEXT: OnceLock<PathBuf> = OnceLock::new();
    let parts = parts()?;
    let context = CONTEXT.get_or_init(|| {
        let context = workspace().join("target/test/busybox-context");
        let made = Command::new(workspace().join("scripts/busybox-context"))
            .arg(&parts)
            .arg(&context)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "scripts/busybox-context makes a build context"
        );
        context
    });
    Some(context.clone())
}
