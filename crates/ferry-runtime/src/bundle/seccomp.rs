//! The filter of a spec, and whoever answers what it reports.

use oci_spec::runtime::{ContainerProcessStateBuilder, LinuxSeccomp};

use super::{Error, Record, Status, console, status::state_of};
use crate::{
    container::SeccompListener,
    seccomp::{Program, compile_with_listener},
};

/// The name of the one descriptor that is sent. Source: OCI runtime-spec config-linux.md#containerprocessstate.
const DESCRIPTOR: &str = "seccompFd";

/// Compiles the filter, and connects to the listener that it needs.
///
/// The process state that goes with the descriptor names `pid`, or 0 where the process does not exist yet: the
/// listener has the kernel's word for each call.
pub(super) fn filter(
    profile: Option<&LinuxSeccomp>,
    record: &Record,
    pid: i32,
) -> Result<(Option<Program>, Option<SeccompListener>), Error> {
    let Some(profile) = profile else {
        return Ok((None, None));
    };
    let program = compile_with_listener(profile)?;
    if !program.reports() {
        return Ok((Some(program), None));
    }
    let Some(path) = profile.listener_path() else {
        return Err(Error::Config {
            member: "linux.seccomp.listenerPath",
            problem: "SCMP_ACT_NOTIFY needs one".to_owned(),
        });
    };
    let mut state = ContainerProcessStateBuilder::default()
        .version(record.oci_version.clone())
        .fds(vec![DESCRIPTOR.to_owned()])
        .pid(pid)
        .state(state_of(record, Status::Creating))
        .build()
        .unwrap_or_default();
    state.set_metadata(profile.listener_metadata().clone());
    let listener = SeccompListener {
        connection: console::connect_to(path, "connect to linux.seccomp.listenerPath")?,
        state: serde_json::to_vec(&state).unwrap_or_default(),
    };
    Ok((Some(program), Some(listener)))
}
