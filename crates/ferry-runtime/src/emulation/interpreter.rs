//! An emulator as the kernel gets it: a sealed copy in memory and a line that registers it.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ferry_oci::cpu::Cpu;
use rustix::fs::{IFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::CreateError;

/// Which file runs programs of which CPU; serialises as the CPU's architecture and the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The programs' CPU.
    #[serde(rename = "architecture", serialize_with = "write_cpu", deserialize_with = "read_cpu")]
    pub cpu: &'static Cpu,
    /// The emulator's file on the host.
    pub path: PathBuf,
}

impl Interpreter {
    /// `path` runs programs of `cpu`.
    #[must_use]
    pub fn new(cpu: &'static Cpu, path: PathBuf) -> Interpreter {
        Interpreter { cpu, path }
    }

    /// The line for `binfmt_misc`'s `register` file.
    ///
    /// Flags: `P` keeps argv[0], `O` and `C` let set-uid programs be what they are, within the
    /// namespace, and `F` opens the interpreter now, so that no root needs to hold it.
    pub(super) fn line(&self, memory: &OwnedFd) -> String {
        let escape = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        format!(
            ":{}:M::{}:{}:/proc/self/fd/{}:POCF",
            self.cpu.architecture,
            escape(&self.cpu.binfmt_magic()),
            escape(&self.cpu.binfmt_mask()),
            memory.as_raw_fd()
        )
    }

    /// Copies the emulator into memory that nobody can change any more, nor who owns it.
    ///
    /// Root in a container reaches the emulator as /proc/<pid>/exe of any emulated process, so it
    /// must be neither the host's file nor writable.
    pub(super) fn sealed(&self) -> Result<OwnedFd, CreateError> {
        let mut source = File::open(&self.path).map_err(|error| self.unreadable(&error))?;
        let mut memory = executable_memory(&self.path)?;
        std::io::copy(&mut source, &mut memory).map_err(|error| self.unreadable(&error))?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::EXEC;
        rustix::fs::fcntl_add_seals(&memory, seals).map_err(|errno| CreateError::Step {
            step: "seal an emulator",
            errno,
        })?;
        // Seals keep the bytes; owner, mode, times and attributes are all containers' too. A kernel whose tmpfs has no
        // such flag, or an engine without CAP_LINUX_IMMUTABLE, runs emulated programs all the same.
        let _ = rustix::fs::ioctl_setflags(&memory, IFlags::IMMUTABLE);
        Ok(memory.into())
    }

    fn unreadable(&self, error: &std::io::Error) -> CreateError {
        CreateError::Emulator {
            path: self.path.clone(),
            errno: Errno::from_io_error(error).unwrap_or(Errno::IO),
        }
    }
}

/// The name shows in /proc/<pid>/maps.
fn executable_memory(path: &Path) -> Result<File, CreateError> {
    let name = path.file_name().unwrap_or_default();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    rustix::fs::memfd_create(name, flags)
        .map(File::from)
        .map_err(|errno| match errno {
            Errno::ACCESS => CreateError::ExecutableMemoryForbidden,
            Errno::INVAL => CreateError::KernelTooOld,
            errno => CreateError::Step {
                step: "make memory for an emulator",
                errno,
            },
        })
}

fn write_cpu<S: Serializer>(cpu: &&'static Cpu, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cpu.architecture)
}

fn read_cpu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Cpu, D::Error> {
    let architecture = String::deserialize(deserializer)?;
    Cpu::named(&architecture)
        .ok_or_else(|| de::Error::custom(format_args!("unknown CPU architecture {architecture:?}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_line_has_the_kernels_form() {
        let memory = rustix::fs::memfd_create("m", MemfdFlags::CLOEXEC).unwrap();
        let interpreter = Interpreter::new(Cpu::named("arm64").unwrap(), PathBuf::from("/x"));
        let expect = format!(
            ":arm64:M::{}:{}:/proc/self/fd/{}:POCF",
            r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
            r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
            memory.as_raw_fd()
        );
        assert_eq!(interpreter.line(&memory), expect);
    }

    #[test]
    fn a_sealed_copy_cannot_be_changed() {
        let interpreter = Interpreter::new(Cpu::host(), PathBuf::from("/proc/self/exe"));
        let memory = match interpreter.sealed() {
            Ok(memory) => memory,
            Err(error) => {
                eprintln!("skipped: needs Linux 6.3: {error}");
                return;
            }
        };
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read("/proc/self/exe").unwrap());
        let reopened = std::fs::OpenOptions::new().write(true).open(&path);
        assert!(reopened.and_then(|mut file| file.write_all(b"x")).is_err());
        assert!(File::from(memory).set_len(0).is_err());
    }

    #[test]
    fn it_survives_being_sent() {
        let interpreter = Interpreter::new(Cpu::named("riscv64").unwrap(), PathBuf::from("/q"));
        let sent = serde_json::to_string(&interpreter).unwrap();
        assert_eq!(sent, r#"{"architecture":"riscv64","path":"/q"}"#);
        assert_eq!(serde_json::from_str::<Interpreter>(&sent).unwrap(), interpreter);
        assert!(serde_json::from_str::<Interpreter>(r#"{"architecture":"z80","path":"/q"}"#).is_err());
    }
}
