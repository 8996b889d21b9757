//! Where an engine listens: `unix://`, `tcp://` and `ssh://` addresses as `-H` and `DOCKER_HOST` write them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Docker's port without TLS.
const DOCKER_PORT: u16 = 2375;

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP, to a name or an address.
    Tcp {
        /// Name, IPv4 or IPv6 address without brackets.
        host: String,
        /// Port number.
        port: u16,
    },
    /// The default engine of another machine, reached by the `ssh` program.
    Ssh {
        /// `[user@]host` as `ssh` takes it.
        destination: String,
        /// Port, when it is not ssh's own default.
        port: Option<u16>,
    },
}

/// An address that cannot be understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum InvalidAddress {
    /// The scheme is not one of ours.
    #[error("invalid host {0:?}: expected unix:///path, tcp://host:port or ssh://user@host")]
    Scheme(String),
    /// The part after the scheme is missing.
    #[error("invalid host {0:?}: nothing follows the scheme")]
    Empty(String),
    /// The port is not a number below 65536.
    #[error("invalid host {0:?}: the port is not a number from 1 to 65535")]
    Port(String),
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.starts_with('/') => ("unix", text),
            // As Docker reads it: `host:port` without a scheme is TCP.
            None if text.contains(':') => ("tcp", text),
            None => return Err(InvalidAddress::Scheme(text.to_owned())),
        };
        if rest.is_empty() {
            return Err(InvalidAddress::Empty(text.to_owned()));
        }
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" => {
                let (host, port) = host_and_port(text, rest.trim_end_matches('/'))?;
                Ok(Self::Tcp {
                    host,
                    port: port.unwrap_or(DOCKER_PORT),
                })
            }
            "ssh" => {
                let (destination, port) = host_and_port(text, rest.trim_end_matches('/'))?;
                // A destination is an argument of ssh: it must not be read as an option.
                if destination.starts_with('-') {
                    return Err(InvalidAddress::Scheme(text.to_owned()));
                }
                Ok(Self::Ssh { destination, port })
            }
            _ => Err(InvalidAddress::Scheme(text.to_owned())),
        }
    }
}

fn host_and_port(whole: &str, text: &str) -> Result<(String, Option<u16>), InvalidAddress> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (
            host,
            Some(
                port.strip_prefix(':')
                    .ok_or_else(|| InvalidAddress::Port(whole.to_owned()))?,
            ),
        ),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(InvalidAddress::Empty(whole.to_owned()));
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(InvalidAddress::Port(whole.to_owned())),
        },
    };
    Ok((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Ssh {
                destination,
                port: Some(port),
            } => write!(f, "ssh://{destination}:{port}"),
            Self::Ssh {
                destination,
                port: None,
            } => write!(f, "ssh://{destination}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("/run/x.sock", "unix:///run/x.sock"),
            ("tcp://127.0.0.1", "tcp://127.0.0.1:2375"),
            ("127.0.0.1:80", "tcp://127.0.0.1:80"),
            ("tcp://[::1]:99/", "tcp://[::1]:99"),
            ("ssh://me@there:22", "ssh://me@there:22"),
            ("ssh://there", "ssh://there"),
        ] {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "x",
            "npipe:////./pipe",
            "unix://",
            "tcp://a:0",
            "tcp://a:b",
            "ssh://-oX:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
