//! BuildKit's protocol, as far as clients of a Docker engine speak it: control, gateway and session.
//!
//! No LLB is executed: Dockerfiles are built by `ferry-build`, and requests that carry a graph of
//! their own are refused with a message that says so.

pub mod session;
pub mod transport;

mod health;
mod telemetry;
