//! Finding and becoming the program: `PATH`, what is executable, and what went wrong.

use std::{ffi::CString, io::Read};

use ferry_sys::process::Command;
use rustix::{
    fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, fstat, openat},
    io::Errno,
};

use crate::{StartError, init};

/// `e_machine` ends here. Source: elf(5).
const ELF_HEADER_BYTES: usize = 20;

/// Looks the program up as the process' own user, and becomes it. Returns only what went wrong.
///
/// `args` is not empty; `env` may hold `PATH`. Source: execvp(3), with Docker's words.
pub(crate) fn become_program(args: &[String], env: &[String]) -> StartError {
    let program = args.first().map(String::as_str).unwrap_or_default();
    let path = match find(program, env) {
        Ok(path) => path,
        Err(error) => return error,
    };
    let not_found = || StartError::NotFound {
        program: program.to_owned(),
        reason: "invalid argument".to_owned(),
    };
    let Some(command) = Command::new(args.iter().map(String::as_str), env.iter().map(String::as_str)) else {
        return not_found();
    };
    let Ok(path_c) = CString::new(path.as_str()) else {
        return not_found();
    };
    let errno = crate::Errno::from(command.execute(&path_c));
    explain(program, &path, errno)
}

/// Becomes an init that starts the program. A program that is not there is found out now, while there is
/// somebody to tell. Returns only what went wrong.
pub(crate) fn become_init(args: &[String], env: &[String]) -> StartError {
    let program = args.first().map(String::as_str).unwrap_or_default();
    if let Err(error) = find(program, env) {
        return error;
    }
    let words = [init::ARGV0, init::SEPARATOR].into_iter();
    let failed = |reason: String| StartError::NotExecutable {
        program: init::ARGV0.to_owned(),
        reason,
    };
    match Command::new(
        words.chain(args.iter().map(String::as_str)),
        env.iter().map(String::as_str),
    ) {
        // The zygote's sealed copy, of which this process is one.
        Some(command) => failed(crate::Errno::from(command.execute(c"/proc/self/exe")).to_string()),
        None => failed("invalid argument".to_owned()),
    }
}

/// Looks a program up from where its path begins, before the process has its user and folder: says only that there is
/// none, and nothing of one that depends on them.
pub(super) fn look_ahead(args: &[String], env: &[String]) -> Result<(), StartError> {
    let program = args.first().map(String::as_str).unwrap_or_default();
    let is_relative = |path: &str| !path.starts_with('/');
    let depends = match program.contains('/') {
        true => is_relative(program),
        false => path_of(env).split(':').any(is_relative),
    };
    match find(program, env) {
        Err(error @ StartError::NotFound { .. }) if !depends => Err(error),
        _ => Ok(()),
    }
}

fn path_of(env: &[String]) -> &str {
    env.iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or_default()
}

fn find(program: &str, env: &[String]) -> Result<String, StartError> {
    if program.contains('/') {
        return match check(program) {
            Ok(()) => Ok(program.to_owned()),
            Err(Errno::NOENT) => Err(StartError::NotFound {
                program: program.to_owned(),
                reason: format!("stat {program}: no such file or directory"),
            }),
            Err(errno) => Err(StartError::NotExecutable {
                program: program.to_owned(),
                reason: crate::Errno::from(errno).to_string(),
            }),
        };
    }
    path_of(env)
        .split(':')
        .filter(|_| !program.is_empty())
        .map(|folder| match folder {
            "" => format!("./{program}"),
            folder => format!("{folder}/{program}"),
        })
        .find(|candidate| check(candidate).is_ok())
        .ok_or_else(|| StartError::NotFound {
            program: program.to_owned(),
            reason: "executable file not found in $PATH".to_owned(),
        })
}

/// Whether this is a file that the process' user may execute.
fn check(path: &str) -> Result<(), Errno> {
    let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::FileType::from_raw_mode(fstat(&file)?.st_mode).is_dir() {
        return Err(Errno::ISDIR);
    }
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
}

fn explain(program: &str, path: &str, errno: crate::Errno) -> StartError {
    let program = program.to_owned();
    if errno == crate::Errno::from(Errno::NOEXEC)
        && let Some(elf_machine) = elf_machine(path)
    {
        return StartError::Foreign { program, elf_machine };
    }
    // After a successful check, "not found" is about the interpreter that the file names.
    if errno == crate::Errno::from(Errno::NOENT) {
        return StartError::NotFound {
            program,
            reason: errno.to_string(),
        };
    }
    StartError::NotExecutable {
        program,
        reason: errno.to_string(),
    }
}

fn elf_machine(path: &str) -> Option<u16> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = openat(CWD, path, flags, Mode::empty()).ok()?;
    let mut header = [0; ELF_HEADER_BYTES];
    std::fs::File::from(file).read_exact(&mut header).ok()?;
    parse_elf_machine(&header)
}

fn parse_elf_machine(header: &[u8; ELF_HEADER_BYTES]) -> Option<u16> {
    const DATA: usize = 5;
    const BIG_ENDIAN: u8 = 2;
    let machine = [header[18], header[19]];
    header.starts_with(b"\x7fELF").then(|| match header[DATA] {
        BIG_ENDIAN => u16::from_be_bytes(machine),
        _ => u16::from_le_bytes(machine),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn programs_are_found_as_docker_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("run"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(folder.path().join("run"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::write(folder.path().join("data"), "x").unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let env = [format!("PATH=/nonexistent:{dir}")];
        let words = |program: &str| find(program, &env).unwrap_err().to_string();

        assert_eq!(find("run", &env).unwrap(), format!("{dir}/run"));
        assert_eq!(find(&format!("{dir}/run"), &env).unwrap(), format!("{dir}/run"));
        for missing in ["ghost", "data", "folder"] {
            let want = format!(r#"exec: "{missing}": executable file not found in $PATH"#);
            assert_eq!(words(missing), want);
        }
        assert_eq!(
            words("/ghost"),
            r#"exec: "/ghost": stat /ghost: no such file or directory"#
        );
        let data = format!("{dir}/data");
        assert_eq!(words(&data), format!(r#"exec: "{data}": permission denied"#));
        let sub = format!("{dir}/folder");
        assert_eq!(words(&sub), format!(r#"exec: "{sub}": is a directory"#));
    }

    #[test]
    fn an_elf_header_tells_its_machine() {
        let mut header = [0; ELF_HEADER_BYTES];
        assert_eq!(parse_elf_machine(&header), None);
        header[..4].copy_from_slice(b"\x7fELF");
        header[18] = 183;
        assert_eq!(parse_elf_machine(&header), Some(183));
        header[5] = 2;
        header[18..].copy_from_slice(&[0, 22]);
        assert_eq!(parse_elf_machine(&header), Some(22));
    }
}
