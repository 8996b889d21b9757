//! The files that a container sees as `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.

use std::path::Path;

use super::{Error, HostOptions};
use crate::network::{self, Endpoint};

/// Where the container sees them: directory and name.
pub(crate) const NETWORK_FILES: &[(&str, &str)] = &[("etc", "hostname"), ("etc", "hosts"), ("etc", "resolv.conf")];

/// Writes the three files into `dir`.
pub(crate) fn write_network_files(
    dir: &Path,
    hostname: &str,
    host: &HostOptions,
    endpoint: Option<&Endpoint>,
) -> Result<(), Error> {
    let files = [
        ("hostname", format!("{hostname}\n")),
        ("hosts", network::hosts_file(hostname, host, endpoint)),
        ("resolv.conf", network::resolv_conf(host)),
    ];
    for (name, contents) in files {
        let path = dir.join(name);
        std::fs::write(&path, contents).map_err(|source| Error::File { path, source })?;
    }
    Ok(())
}
