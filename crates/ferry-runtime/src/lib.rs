//! Turns a runtime spec and a root into a process and watches it.

pub mod emulation;
