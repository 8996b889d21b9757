//! The container's first process, from its birth to its program.

mod program;
mod user;
