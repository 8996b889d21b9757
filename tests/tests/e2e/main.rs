//! The built binary, end to end, on the real kernel: what people type, and what comes of it.

mod archive;
mod autostart;
mod build;
mod build_errors;
mod confinement;
mod copy;
mod death;
mod docker_build;
mod docker_cli;
mod exec;
mod foreign;
mod images;
mod interrupt;
mod join;
mod life;
mod limits;
mod network;
mod peers;
mod reproducible;
mod restart;
mod run;
mod ship;
mod streams;
mod update;
mod verbs;
