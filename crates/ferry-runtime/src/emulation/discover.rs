//! Looking for emulators, once an engine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ferry_oci::cpu::{self, Cpu};

use rustix::io::Errno;

use super::elf::{self, Linkage};
use super::registration::{Registered, find, registered_on_this_host};
use super::{CreateError, Emulator, Emulators, Entry, PACKAGES, Refusal, RefusalReason, Support, Version, probe};

/// Where emulators are looked for after the folders that were given.
const USUAL: &[&str] = &["/usr/libexec/ferry", "/usr/bin"];

impl Emulators {
    /// Looks at the host: runs a probe for the CPUs that the kernel may know by itself, searches
    /// `directories`, then `/usr/libexec/ferry`, then `/usr/bin` for emulators
    /// (`qemu-<cpu>-static` or a static `qemu-<cpu>`) and asks each its version, and reads the
    /// host's registrations. Takes some ten milliseconds, starts processes, never fails.
    #[must_use]
    pub fn discover(directories: &[PathBuf]) -> Emulators {
        let searched: Vec<PathBuf> = directories
            .iter()
            .cloned()
            .chain(USUAL.iter().map(PathBuf::from))
            .collect();
        let registered = registered_on_this_host();
        let obstacle = namespaces_of_our_own().err().map(|error| error.to_string());
        // Each answer waits for a process or two: together they take no longer than the slowest.
        let entries = std::thread::scope(|scope| {
            let answers: Vec<_> = cpu::ALL
                .iter()
                .map(|cpu| {
                    (
                        cpu,
                        scope.spawn(|| entry(cpu, &searched, &registered, obstacle.as_deref())),
                    )
                })
                .collect();
            answers
                .into_iter()
                .map(|(cpu, answer)| answer.join().unwrap_or_else(|_| missing(cpu)))
                .collect()
        });
        Emulators { entries }
    }
}

/// Whether this kernel gives user namespaces registrations of their own.
/// Source: Linux 6.7's binfmt_misc; namespaces(7), /proc/sys/user.
fn namespaces_of_our_own() -> Result<(), CreateError> {
    if !is_since_6_7(&rustix::system::uname().release().to_string_lossy()) {
        return Err(CreateError::KernelTooOld);
    }
    match std::fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(most) if most.trim() != "0" => Ok(()),
        // What unshare(2) says then.
        _ => Err(CreateError::UserNamespacesForbidden { errno: Errno::NOSPC }),
    }
}

fn is_since_6_7(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (number(), number()) >= (6, 7)
}

fn missing(cpu: &'static Cpu) -> Entry {
    Entry {
        cpu,
        support: Support::Missing { packages: PACKAGES },
        registered: None,
        refused: Vec::new(),
    }
}

fn entry(cpu: &'static Cpu, searched: &[PathBuf], registered: &[Registered], obstacle: Option<&str>) -> Entry {
    let mut entry = Entry {
        registered: find(registered, cpu),
        ..missing(cpu)
    };
    if probe::is_native(cpu) {
        entry.support = Support::Native;
        return entry;
    }
    for path in searched.iter().flat_map(|directory| candidates(directory, cpu)) {
        match take(&path) {
            Ok(None) => {}
            Ok(Some(version)) => {
                let emulator = Emulator::new(cpu, path, version);
                entry.support = match (obstacle, &entry.registered) {
                    (None, _) => Support::Emulated(emulator),
                    (Some(_), Some(registration)) => Support::GloballyRegistered(registration.clone()),
                    (Some(reason), None) => Support::Unregistered {
                        emulator,
                        reason: reason.to_owned(),
                    },
                };
                return entry;
            }
            Err(reason) => entry.refused.push(Refusal { path, reason }),
        }
    }
    if let Some(registration) = &entry.registered {
        entry.support = Support::GloballyRegistered(registration.clone());
    }
    entry
}

fn candidates(directory: &Path, cpu: &Cpu) -> [PathBuf; 2] {
    [format!("qemu-{}-static", cpu.qemu), format!("qemu-{}", cpu.qemu)].map(|name| directory.join(name))
}

/// `Ok(None)` when there is no such file, otherwise what it says of its version.
fn take(path: &Path) -> Result<Option<Option<Version>>, RefusalReason> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(RefusalReason::Unreadable {
                error: error.to_string(),
            });
        }
    };
    match elf::inspect(&file) {
        Ok(Some((cpu, _))) if cpu != Cpu::host() => Err(RefusalReason::ForAnotherHost {
            architecture: cpu.architecture,
        }),
        Ok(Some((_, Linkage::Static))) => Ok(Some(ask_version(path))),
        Ok(Some((_, Linkage::Dynamic))) => Err(RefusalReason::Dynamic),
        Ok(None) => Err(RefusalReason::NoProgram),
        Err(error) => Err(RefusalReason::Unreadable {
            error: error.to_string(),
        }),
    }
}

fn ask_version(path: &Path) -> Option<Version> {
    let output = Command::new(path)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    Version::find(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, expected) in [
            ("6.1.0-50-cloud-amd64", false),
            ("6.6.9", false),
            ("6.7.0", true),
            ("6.12.107+deb13-cloud-amd64", true),
            ("7.0-rc1", true),
            ("5.19", false),
            ("", false),
        ] {
            assert_eq!(is_since_6_7(release), expected, "{release}");
        }
    }

    #[test]
    fn versions_as_emulators_write_them() {
        for (text, expect) in [
            (
                "qemu-aarch64 version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright",
                "10.0.13",
            ),
            ("qemu-arm version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "7.2.22"),
            ("qemu-arm version 8.1", "8.1.0"),
        ] {
            assert_eq!(Version::find(text).unwrap().to_string(), expect);
        }
        for bad in ["", "version ", "version x.y", "version 10", "version 99999999999.1"] {
            assert_eq!(Version::find(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_old_emulators_of_slow_cpus_need_a_model() {
        let model = |cpu: &str, version: &str| {
            let version = Version::find(&format!("version {version}"));
            Emulator::new(Cpu::named(cpu).unwrap(), PathBuf::new(), version).qemu_cpu
        };
        assert_eq!(model("arm64", "7.2.22"), Some("cortex-a57"));
        assert_eq!(model("arm64", "8.1.0"), None);
        assert_eq!(model("arm64", "?"), None);
        assert_eq!(model("riscv64", "7.2.22"), None);
    }

    #[test]
    fn the_host_is_native_and_every_cpu_has_an_answer() {
        let emulators = Emulators::discover(&[]);
        assert_eq!(emulators.iter().count(), cpu::ALL.len());
        assert_eq!(emulators.of(Cpu::host()).unwrap().support, Support::Native);
    }

    #[test]
    fn what_is_no_static_emulator_is_refused_with_its_reason() {
        let directory = std::env::temp_dir().join(format!("ferry-emulators-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let cpu = Cpu::named("s390x").unwrap();
        std::fs::write(directory.join("qemu-s390x-static"), "#!/bin/sh\n").unwrap();
        std::fs::copy("/bin/sh", directory.join("qemu-s390x")).unwrap();
        let entry = entry(cpu, std::slice::from_ref(&directory), &[], None);
        std::fs::remove_dir_all(&directory).unwrap();
        if Cpu::host() == cpu {
            return;
        }
        let reasons: Vec<_> = entry.refused.iter().map(|refusal| &refusal.reason).collect();
        assert_eq!(reasons, [&RefusalReason::NoProgram, &RefusalReason::Dynamic]);
        assert_eq!(entry.support, Support::Missing { packages: PACKAGES });
    }
}
