//! Turns a runtime spec and a root into a process and watches it.

pub mod capability;
pub mod cgroup;
pub mod device;
pub mod emulation;
pub mod profile;
pub mod seccomp;
