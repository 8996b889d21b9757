//! What fuzzers feed: messages of monitors, files of a container's root, profiles, and output.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use oci_spec::runtime::LinuxSeccomp;
use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use time::OffsetDateTime;

use crate::capability::CapabilitySet;
use crate::container::user;
use crate::log::lines_of;
use crate::protocol::{self, Answer, Event, Request};
use crate::seccomp::{Architecture, ProfileContext, compile_for, parse_profile};

/// A frame on the socket between engine, monitor and container, and the message in it.
pub fn message(data: &[u8]) {
    let (left, right) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a pair of sockets");
    if send(&left, data, SendFlags::DONTWAIT).is_err() || data.is_empty() {
        return;
    }
    let Ok(Some(frame)) = protocol::try_receive(right.as_fd()) else {
        return;
    };
    if let Ok(request) = serde_json::from_slice::<Request>(&frame.body) {
        let written = serde_json::to_vec(&request).expect("a request can be written");
        serde_json::from_slice::<Request>(&written).expect("a request that was written can be read");
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(&frame.body) {
        let written = serde_json::to_vec(&answer).expect("an answer can be written");
        serde_json::from_slice::<Answer>(&written).expect("an answer that was written can be read");
    }
    let _ = serde_json::from_slice::<Event>(&frame.body);
}

/// A seccomp profile in Docker's form and in the runtime's, for each architecture.
pub fn seccomp(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        docker_profile(text);
    }
    let Ok(profile) = serde_json::from_slice::<LinuxSeccomp>(data) else {
        return;
    };
    for native in [Architecture::X86_64, Architecture::Aarch64] {
        match compile_for(&profile, native) {
            Ok(program) => assert!(program.instructions().count() > 0),
            Err(error) => drop(error.to_string()),
        }
    }
}

fn docker_profile(text: &str) {
    for native in [Architecture::X86_64, Architecture::Aarch64] {
        let context = ProfileContext {
            native,
            capabilities: CapabilitySet::DEFAULT,
            kernel: (6, 1),
        };
        match parse_profile(text, &context) {
            Ok(Some(profile)) => match compile_for(&profile, native) {
                Ok(program) => assert!(program.instructions().count() > 0),
                Err(error) => drop(error.to_string()),
            },
            Ok(None) => {}
            Err(error) => drop(error.to_string()),
        }
    }
}

/// A user, and the container's passwd and group, separated by NUL.
pub fn user(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\0');
    let mut part = || parts.next().unwrap_or_default();
    let (user, passwd, group) = (part(), part(), part());
    match user::resolve_by(passwd, group, user, &[user.to_owned()]) {
        Ok(identity) => assert!(identity.uid <= i32::MAX as u32 && identity.gid <= i32::MAX as u32),
        Err(error) => drop(error.to_string()),
    }
}

/// The head of a program.
pub fn elf(data: &[u8]) {
    let memory = rustix::fs::memfd_create("elf", MemfdFlags::CLOEXEC).expect("memory for a file");
    let mut file = File::from(memory);
    file.write_all(data).expect("memory can be written");
    std::io::Seek::rewind(&mut file).expect("memory can be read again");
    let _ = crate::emulation::elf::inspect(&file);
}

/// Output of a container, in pieces whose length the first byte says; the log holds it as text.
pub fn log_lines(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else {
        return;
    };
    let log = lines_of(data.chunks(usize::from(*piece) + 1), OffsetDateTime::UNIX_EPOCH);
    let mut text = String::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let line: serde_json::Value = serde_json::from_slice(line).expect("each line is JSON");
        text.push_str(line["log"].as_str().expect("a line has its text"));
    }
    assert_eq!(text, String::from_utf8_lossy(data));
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_inputs_do_no_harm() {
        replay::replay("message", message);
        replay::replay("seccomp", seccomp);
        replay::replay("user", user);
        replay::replay("elf", elf);
        replay::replay("log_lines", log_lines);
    }
}
