//! Flags about networks, names and ports.

use std::collections::HashMap;

use bollard_stubs::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, NetworkingConfig, PortBinding,
};
use clap::Args;

use super::{port, some};
use crate::failure::Failure;

/// Flags about networks, names and ports.
#[derive(Debug, Args)]
pub(crate) struct Network {
    /// Network: bridge, host, none, container:NAME, or one of your own
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Vec<String>,
    /// Another name on the network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// Address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// IPv6 address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<String>,
    /// Link-local address
    #[arg(long, value_name = "ADDRESS")]
    link_local_ip: Vec<String>,
    /// MAC address
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// Name of another container, known here as ALIAS
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    link: Vec<String>,
    /// Publish a port on the host
    #[arg(short, long, value_name = "[[ADDRESS:]PORT:]PORT")]
    publish: Vec<String>,
    /// Publish all exposed ports on ports that are free
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Expose a port
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// Host name inside
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Domain name inside
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    add_host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<String>,
    /// Option of the resolver
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Domain that names are looked up in
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
}

impl Network {
    pub(super) fn apply(self, body: &mut ContainerCreateBody, host: &mut HostConfig) -> Result<(), Failure> {
        let endpoint = self.endpoint();
        let mut networks = self.network.into_iter();
        let first = networks.next();
        let mut endpoints = HashMap::new();
        if let Some(settings) = endpoint {
            endpoints.insert(first.clone().unwrap_or_else(|| "default".to_owned()), settings);
        }
        for network in networks {
            if Some(&network) == first.as_ref() || endpoints.contains_key(&network) {
                return Err(Failure::new(format!("the network {network:?} is given twice")));
            }
            endpoints.insert(network, EndpointSettings::default());
        }
        if !endpoints.is_empty() {
            if let Some(first) = &first {
                endpoints.entry(first.clone()).or_default();
            }
            body.networking_config = Some(NetworkingConfig {
                endpoints_config: Some(endpoints),
            });
        }
        host.network_mode = first;
        let mut exposed = Vec::new();
        let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
        for text in &self.publish {
            for published in port::read(text)? {
                exposed.push(published.container.clone());
                let list = bindings.entry(published.container).or_default().get_or_insert_default();
                list.push(PortBinding {
                    host_ip: Some(published.host_ip),
                    host_port: Some(published.host_port),
                });
            }
        }
        for text in &self.expose {
            exposed.extend(port::exposed(text)?);
        }
        body.exposed_ports = some(exposed);
        host.port_bindings = (!bindings.is_empty()).then_some(bindings);
        host.publish_all_ports = Some(self.publish_all);
        body.hostname = self.hostname;
        body.domainname = self.domainname;
        host.links = some(self.link);
        host.extra_hosts = some(
            self.add_host
                .iter()
                .map(|line| read_host(line))
                .collect::<Result<_, _>>()?,
        );
        host.dns = some(self.dns);
        host.dns_options = some(self.dns_option);
        host.dns_search = some(self.dns_search);
        Ok(())
    }

    /// What is asked of the first network, if anything.
    fn endpoint(&self) -> Option<EndpointSettings> {
        let addressed = self.ip.is_some() || self.ip6.is_some() || !self.link_local_ip.is_empty();
        let settings = EndpointSettings {
            aliases: some(self.network_alias.clone()),
            mac_address: self.mac_address.clone(),
            ipam_config: addressed.then(|| EndpointIpamConfig {
                ipv4_address: self.ip.clone(),
                ipv6_address: self.ip6.clone(),
                link_local_ips: some(self.link_local_ip.clone()),
            }),
            ..EndpointSettings::default()
        };
        (settings != EndpointSettings::default()).then_some(settings)
    }
}

/// `name:address` or `name=address`; IPv6 may stand in brackets.
fn read_host(text: &str) -> Result<String, Failure> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    match split {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            let address = address
                .strip_prefix('[')
                .and_then(|address| address.strip_suffix(']'))
                .unwrap_or(address);
            Ok(format!("{name}:{address}"))
        }
        _ => Err(Failure::new(format!("invalid host {text:?}: expected NAME:ADDRESS"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_both_forms() {
        for (text, line) in [
            ("a:1.2.3.4", Some("a:1.2.3.4")),
            ("a=::1", Some("a:::1")),
            ("a:[::1]", Some("a:::1")),
            ("a:host-gateway", Some("a:host-gateway")),
            ("a", None),
            (":x", None),
        ] {
            assert_eq!(read_host(text).ok().as_deref(), line, "{text}");
        }
    }
}
