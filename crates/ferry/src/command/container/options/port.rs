//! Published ports: `[[HOST:]HOSTPORT:]PORT[/PROTOCOL]`, with ranges, as Docker reads them.

use crate::failure::Failure;

/// One port of a container and where it appears on the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// `80/tcp`.
    pub(super) container: String,
    /// Address on the host; empty for all.
    pub(super) host_ip: String,
    /// Port or range on the host; empty for any.
    pub(super) host_port: String,
}

/// Reads one `-p`.
pub(super) fn read(text: &str) -> Result<Vec<Published>, Failure> {
    let invalid = |why: &str| Failure::new(format!("invalid port {text:?}: {why}"));
    let (ports, protocol) = match text.rsplit_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_ascii_lowercase()),
        None => (text, "tcp".to_owned()),
    };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid("the protocol is none of tcp, udp, sctp"));
    }
    let (left, container) = match ports.rsplit_once(':') {
        Some((left, container)) => (Some(left), container),
        None => (None, ports),
    };
    let (host_ip, host_port) = match left {
        None => ("", ""),
        Some(left) => left.rsplit_once(':').unwrap_or(("", left)),
    };
    let host_ip = host_ip
        .strip_prefix('[')
        .and_then(|ip| ip.strip_suffix(']'))
        .unwrap_or(host_ip);
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(invalid("the address is none"));
    }
    let inside = range(container).ok_or_else(|| invalid("the container's port is no number from 1 to 65535"))?;
    let outside = match host_port {
        "" => None,
        host_port => Some(range(host_port).ok_or_else(|| invalid("the host's port is no number from 0 to 65535"))?),
    };
    if inside.0 == 0 {
        return Err(invalid("the container's port is 0"));
    }
    let count = inside.1 - inside.0;
    let spread = match outside {
        Some((first, last)) if last - first == count => Spread::OneByOne(first),
        // A single port of the container may take any of a range of the host's.
        Some(_) if count == 0 => Spread::AnyOf,
        Some(_) => return Err(invalid("the two ranges differ in length")),
        None => Spread::Any,
    };
    Ok((0..=count)
        .map(|step| Published {
            container: format!("{}/{protocol}", inside.0 + step),
            host_ip: host_ip.to_owned(),
            host_port: match spread {
                Spread::OneByOne(first) => (first + step).to_string(),
                Spread::AnyOf => host_port.to_owned(),
                Spread::Any => String::new(),
            },
        })
        .collect())
}

/// How host ports are given to the container's.
enum Spread {
    OneByOne(u16),
    AnyOf,
    Any,
}

/// Reads one `--expose`: `80`, `80/udp`, `80-90`.
pub(super) fn exposed(text: &str) -> Result<Vec<String>, Failure> {
    if text.contains(':') {
        return Err(Failure::new(format!(
            "invalid port {text:?}: only the container's port is exposed"
        )));
    }
    Ok(read(text)?.into_iter().map(|port| port.container).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        let ports = read(text).ok()?;
        Some(
            ports
                .iter()
                .map(|port| format!("{}|{}|{}", port.host_ip, port.host_port, port.container))
                .collect(),
        )
    }

    #[test]
    fn ports_are_read() {
        for (text, ports) in [
            ("80", Some(vec!["||80/tcp"])),
            ("8080:80/udp", Some(vec!["|8080|80/udp"])),
            ("127.0.0.1:8080:80", Some(vec!["127.0.0.1|8080|80/tcp"])),
            ("127.0.0.1::80", Some(vec!["127.0.0.1||80/tcp"])),
            ("[::1]:1:2", Some(vec!["::1|1|2/tcp"])),
            ("10-11:20-21", Some(vec!["|10|20/tcp", "|11|21/tcp"])),
            ("10-12:20", Some(vec!["|10-12|20/tcp"])),
            ("10:20-21", None),
            ("0", None),
            ("70000", None),
            ("a:b", None),
            ("80/icmp", None),
            ("host:1:2", None),
            ("5-4", None),
        ] {
            let expected = ports.map(|ports| ports.into_iter().map(str::to_owned).collect());
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
