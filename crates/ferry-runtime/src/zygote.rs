//! The zygote process: small, single-threaded, forks a monitor for each request.

/// `argv[1]` of the zygote process: the binary's main must call [`main`] when it sees this, before
/// it starts any thread or reads anything.
pub const ARGV1: &str = "ferry-zygote";

/// Entry of the zygote process; the socket to the engine is descriptor 3.
///
/// Ends with the process when the engine closes its side. Call it first thing in `main`.
pub fn main() -> ! {
    std::process::exit(70)
}
