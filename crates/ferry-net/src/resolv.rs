//! A container's `/etc/resolv.conf`, made from the host's. `resolv.conf(5)`

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::subnet::Family;

/// Where programs look for name servers.
const HOST_PATH: &str = "/etc/resolv.conf";
/// Where systemd-resolved writes the real ones, while `HOST_PATH` names its stub on loopback.
const SYSTEMD_PATH: &str = "/run/systemd/resolve/resolv.conf";
/// systemd-resolved's stub, `systemd-resolved.service(8)`.
const SYSTEMD_STUB: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// Far more than any resolver reads.
const MAX_LEN_BYTES: u64 = 1024 * 1024;

/// Docker's name servers of last resort, Google's.
const PUBLIC_V4: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)),
];
const PUBLIC_V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844)),
];

/// The host's file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What `resolv.conf` can say; its `Display` is the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers in the order in which they are asked.
    pub name_servers: Vec<NameServer>,
    /// Domains that are tried after a short name; `.` alone means none.
    pub search: Vec<String>,
    /// Options such as `ndots:2`.
    pub options: Vec<String>,
}

/// A name server; an IPv6 link-local one has a zone, which exists on the host alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// Its address.
    pub address: IpAddr,
    /// The interface behind `%`.
    pub zone: Option<String>,
}

/// What a user asked for with `--dns`, `--dns-search` and `--dns-option`; each that is not empty replaces the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `--dns`
    pub name_servers: Vec<IpAddr>,
    /// `--dns-search`
    pub search: Vec<String>,
    /// `--dns-option`
    pub options: Vec<String>,
}

/// Where a container's name servers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user named them.
    Wished,
    /// The host's, those that a container can reach.
    Host,
    /// None of the host's can be reached from a container, so Docker's public ones are used. Worth saying.
    PublicFallback,
}

/// The host's configuration with its real name servers: systemd-resolved's own file where `/etc/resolv.conf` only names
/// its stub. Empty if the host has none.
pub fn read_host() -> Result<String, ReadError> {
    read_host_at(Path::new(HOST_PATH), Path::new(SYSTEMD_PATH))
}

/// The configuration of a container whose interfaces have these address families.
///
/// Left out are name servers on loopback, which is the container's own; those with a zone, which the container does not
/// have; and IPv6 ones where the container has no IPv6.
pub fn for_container(host: &str, wishes: &Wishes, families: &[Family]) -> (ResolvConf, Origin) {
    let mut host = ResolvConf::parse(host);
    let reachable = |server: &NameServer| {
        let is_here = server.address.is_loopback() || server.address.is_unspecified();
        !is_here && server.zone.is_none() && families.contains(&Family::of(server.address))
    };
    let mut origin = Origin::Host;
    let mut name_servers: Vec<NameServer> = std::mem::take(&mut host.name_servers)
        .into_iter()
        .filter(reachable)
        .collect();
    if !wishes.name_servers.is_empty() {
        origin = Origin::Wished;
    } else if name_servers.is_empty() {
        origin = Origin::PublicFallback;
        let public = PUBLIC_V4.iter().chain(&PUBLIC_V6);
        name_servers = public
            .filter(|address| families.contains(&Family::of(**address)))
            .map(plain)
            .collect();
    }
    let conf = ResolvConf { name_servers, ..host };
    (conf.with(wishes), origin)
}

fn plain(address: &IpAddr) -> NameServer {
    NameServer {
        address: *address,
        zone: None,
    }
}

impl ResolvConf {
    /// The same with what a user asked for.
    pub fn with(self, wishes: &Wishes) -> Self {
        let prefer = |wished: &[String], hosts: Vec<String>| {
            if wished.is_empty() { hosts } else { wished.to_vec() }
        };
        let name_servers = match wishes.name_servers.as_slice() {
            [] => self.name_servers,
            wished => wished.iter().map(plain).collect(),
        };
        let mut search = prefer(&wishes.search, self.search);
        search.retain(|domain| domain != ".");
        Self {
            name_servers,
            search,
            options: prefer(&wishes.options, self.options),
        }
    }

    /// Reads a file as glibc does: the last `search` or `domain` line counts, unknown lines do not.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.name_servers.extend(words.next().and_then(parse_name_server)),
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => conf.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        conf
    }
}

fn parse_name_server(text: &str) -> Option<NameServer> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone.to_owned())),
        None => (text, None),
    };
    Some(NameServer {
        address: address.parse().ok()?,
        zone,
    })
}

impl fmt::Display for ResolvConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for NameServer { address, zone } in &self.name_servers {
            match zone {
                Some(zone) => writeln!(f, "nameserver {address}%{zone}")?,
                None => writeln!(f, "nameserver {address}")?,
            }
        }
        if !self.search.is_empty() {
            writeln!(f, "search {}", self.search.join(" "))?;
        }
        if !self.options.is_empty() {
            writeln!(f, "options {}", self.options.join(" "))?;
        }
        Ok(())
    }
}

fn read_host_at(host: &Path, systemd: &Path) -> Result<String, ReadError> {
    let text = read_bounded(host)?;
    let servers = ResolvConf::parse(&text).name_servers;
    let only_stub = !servers.is_empty() && servers.iter().all(|server| server.address == SYSTEMD_STUB);
    if only_stub {
        let real = read_bounded(systemd)?;
        if !ResolvConf::parse(&real).name_servers.is_empty() {
            return Ok(real);
        }
    }
    Ok(text)
}

fn read_bounded(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_LEN_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &[Family] = &[Family::V4];
    const BOTH: &[Family] = &[Family::V4, Family::V6];

    #[test]
    fn what_a_container_gets() {
        for (host, families, expected, origin) in [
            (
                "nameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:2 trust-ad\n",
                V4,
                "nameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:2 trust-ad\n",
                Origin::Host,
            ),
            (
                "nameserver 127.0.0.53\nnameserver 10.0.0.1 # the router\n",
                V4,
                "nameserver 10.0.0.1\n",
                Origin::Host,
            ),
            (
                "nameserver ::1\nnameserver fd00::1\nnameserver fe80::1%eth0\n",
                BOTH,
                "nameserver fd00::1\n",
                Origin::Host,
            ),
            (
                "nameserver fd00::1\n",
                V4,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\n",
                Origin::PublicFallback,
            ),
            (
                "nameserver 127.0.0.1\ndomain a.test\nsearch b.test\n",
                V4,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch b.test\n",
                Origin::PublicFallback,
            ),
            (
                "",
                BOTH,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\nnameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n",
                Origin::PublicFallback,
            ),
            (
                "nameserver\nnameserver x\nsearch .\nnonsense\n\0\n",
                V4,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\n",
                Origin::PublicFallback,
            ),
        ] {
            let (conf, from) = for_container(host, &Wishes::default(), families);
            assert_eq!((conf.to_string().as_str(), from), (expected, origin), "{host:?}");
        }
    }

    #[test]
    fn wishes_replace_what_the_host_has() {
        let wishes = Wishes {
            name_servers: vec!["127.0.0.1".parse().unwrap()],
            search: vec![".".to_owned()],
            options: vec!["ndots:5".to_owned()],
        };
        let (conf, origin) = for_container("nameserver 10.0.0.1\nsearch a.test\noptions x\n", &wishes, V4);
        assert_eq!(
            (conf.to_string().as_str(), origin),
            ("nameserver 127.0.0.1\noptions ndots:5\n", Origin::Wished)
        );
    }

    #[test]
    fn systemds_real_servers_are_found_behind_its_stub() {
        let dir = tempfile::tempdir().unwrap();
        let (host, systemd) = (dir.path().join("resolv.conf"), dir.path().join("systemd"));
        assert_eq!(read_host_at(&host, &systemd).unwrap(), "");
        std::fs::write(&host, "nameserver 127.0.0.53\n").unwrap();
        assert_eq!(read_host_at(&host, &systemd).unwrap(), "nameserver 127.0.0.53\n");
        std::fs::write(&systemd, "nameserver 10.0.0.1\n").unwrap();
        assert_eq!(read_host_at(&host, &systemd).unwrap(), "nameserver 10.0.0.1\n");
        std::fs::write(&host, "nameserver 10.0.0.2\n").unwrap();
        assert_eq!(read_host_at(&host, &systemd).unwrap(), "nameserver 10.0.0.2\n");
        assert!(read_host_at(dir.path(), &systemd).is_err());
    }
}
