//! The default bridge: made when the first container wants it, removed when the engine ends without containers.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use ferry_net::firewall::{self, NetworkRules, Reach, Table, TableName};
use ferry_net::ipam::{self, Pool, PoolOptions};
use ferry_net::{
    BridgeConfig, BridgeNetwork, EndpointConfig, Family, InterfaceAddress, LinkName, MacAddress, hosts, resolv,
};
use ferry_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::Instance;
use crate::container::{ContainerId, HostOptions, NetworkMode};
use crate::error::Class;

/// An error of a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused something.
    #[error(transparent)]
    Net(#[from] ferry_net::Error),
    /// No subnet or address is left.
    #[error(transparent)]
    Addresses(#[from] ipam::Error),
    /// The firewall cannot be set up: fail closed.
    #[error("cannot set up the firewall: {0}")]
    Firewall(ferry_net::Error),
}

impl Error {
    /// The error's class.
    pub fn class(&self) -> Class {
        match self {
            Self::Net(_) | Self::Firewall(_) => Class::Internal,
            Self::Addresses(_) => Class::Unavailable,
        }
    }
}

/// A container's place on a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// Length of its subnet's prefix.
    pub prefix_len: u8,
    /// Its gateway: the bridge.
    pub gateway: IpAddr,
    /// The name of the pair's end on the host.
    pub veth: LinkName,
}

/// Kept beside a running container, so that an engine after this one knows its address.
impl ferry_store::record::Record for Endpoint {
    const VERSION: u32 = 1;
}

impl Endpoint {
    /// Its id, which is another one after each start.
    pub fn id(&self) -> String {
        Digest::of(self.veth.to_string().as_bytes()).hex()
    }

    /// Its hardware address.
    pub fn mac(&self) -> MacAddress {
        MacAddress::for_address(self.address)
    }
}

/// The id that a network of this engine is known by.
pub fn id_of(instance: &Instance, network: &NetworkMode) -> String {
    let name = format!("{} {network:?}", instance.name());
    Digest::of(name.as_bytes()).hex()
}

/// The networks of an engine.
#[derive(Debug)]
pub(crate) struct Networks {
    instance: Instance,
    default: Mutex<Option<DefaultBridge>>,
}

#[derive(Debug)]
struct DefaultBridge {
    bridge: BridgeNetwork,
    pool: Pool,
}

impl Networks {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            instance,
            default: Mutex::new(None),
        }
    }

    /// Takes an address on the default bridge.
    pub(crate) fn take(&self) -> Result<Endpoint, Error> {
        let mut default = self.default.lock().unwrap_or_else(PoisonError::into_inner);
        let DefaultBridge { pool, .. } = self.ensure(&mut default, None)?;
        Ok(Endpoint {
            address: pool.allocate()?,
            prefix_len: pool.subnet().prefix_len(),
            gateway: pool.gateway(),
            veth: veth_name(),
        })
    }

    /// Takes the address again that a running container has since before the engine's restart.
    pub(crate) fn restore(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut default = self.default.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self
            .ensure(&mut default, Some(endpoint))?
            .pool
            .claim(endpoint.address)?)
    }

    /// Connects a container's network namespace.
    pub(crate) fn attach(&self, endpoint: &Endpoint, namespace: &OwnedFd) -> Result<(), Error> {
        let mut default = self.default.lock().unwrap_or_else(PoisonError::into_inner);
        let bridge = self.ensure(&mut default, Some(endpoint))?.bridge.clone();
        drop(default);
        let address = InterfaceAddress::new(endpoint.address, endpoint.prefix_len)
            .expect("a pool's address and prefix make an interface address");
        bridge.attach(
            namespace.as_fd(),
            &EndpointConfig {
                ifname: "eth0".parse().expect("eth0 is an interface name"),
                veth: endpoint.veth.clone(),
                addresses: vec![address],
                mac: None,
                default_routes: vec![endpoint.gateway],
            },
        )?;
        Ok(())
    }

    /// Gives an address back once the interface that had it is gone. Blocks up to 20 ms.
    pub(crate) fn release(&self, endpoint: &Endpoint) {
        if let Err(error) = ferry_net::delete(&endpoint.veth) {
            tracing::warn!(link = %endpoint.veth, %error, "cannot delete; its address is not used again");
            return;
        }
        let mut default = self.default.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(default) = default.as_mut() {
            default.pool.release(endpoint.address);
        }
    }

    /// Removes the bridge and the firewall's table, when no container is on it.
    pub(crate) fn remove_if_unused(&self) {
        let mut default = self.default.lock().unwrap_or_else(PoisonError::into_inner);
        if default
            .as_ref()
            .is_some_and(|default| default.pool.taken().next().is_some())
        {
            return;
        }
        // Also one that an engine before us made, and left for a container that has ended since.
        let removed = BridgeNetwork::remove(&self.bridge_name()).and_then(|_| self.table().remove());
        if let Err(error) = removed {
            tracing::warn!(%error, "cannot remove the default network");
        }
        *default = None;
    }

    /// The default bridge, made on first use; `known` is an endpoint from before a restart, whose
    /// subnet it then has.
    fn ensure<'a>(
        &self,
        default: &'a mut Option<DefaultBridge>,
        known: Option<&Endpoint>,
    ) -> Result<&'a mut DefaultBridge, Error> {
        if default.is_none() {
            *default = Some(self.make(known)?);
        }
        Ok(default.as_mut().expect("it was just made"))
    }

    fn make(&self, known: Option<&Endpoint>) -> Result<DefaultBridge, Error> {
        let name = self.bridge_name();
        let subnet = match known {
            Some(endpoint) => InterfaceAddress::new(endpoint.gateway, endpoint.prefix_len)
                .expect("an endpoint's gateway and prefix make an interface address")
                .subnet(),
            None => {
                // A bridge that an engine before us left has a route of its own.
                BridgeNetwork::remove(&name)?;
                ipam::choose_subnet(&ipam::default_ranges(), &ferry_net::routed_subnets()?)?
            }
        };
        let pool = Pool::new(subnet, PoolOptions::default())?;
        let gateway = InterfaceAddress::new(pool.gateway(), subnet.prefix_len())
            .expect("a pool's gateway and prefix make an interface address");
        let bridge = BridgeNetwork::ensure(&BridgeConfig {
            name,
            gateways: vec![gateway],
            mtu_bytes: None,
        })?;
        self.protect(&bridge)?;
        Ok(DefaultBridge { bridge, pool })
    }

    /// Fails closed: without its rules the network is not used.
    fn protect(&self, bridge: &BridgeNetwork) -> Result<(), Error> {
        let rules = NetworkRules::of(bridge.config(), Reach::Outside);
        self.table().replace(&[rules]).map_err(Error::Firewall)?;
        match firewall::host_forward_drops() {
            Ok(drops) => {
                for drop in drops {
                    let remedy = drop.remedy(&bridge.config().name);
                    tracing::warn!(
                        table = drop.table,
                        chain = drop.chain,
                        remedy,
                        "the host's own firewall drops what containers send"
                    );
                }
            }
            Err(error) => tracing::debug!(%error, "cannot look at the host's own firewall"),
        }
        Ok(())
    }

    fn bridge_name(&self) -> LinkName {
        let name = self.instance.bridge_name();
        name.parse().expect("bridge names have at most 15 characters")
    }

    fn table(&self) -> Table {
        let name: TableName = self
            .instance
            .name()
            .parse()
            .expect("an instance's name is a table's name");
        Table::new(name)
    }
}

/// `fy` and twelve random digits, at most 15 characters. Not the container's id: its last interface may
/// still be on its way out when it is started again.
fn veth_name() -> LinkName {
    let id = ContainerId::random();
    format!("fy{}", id.short())
        .parse()
        .expect("ids consist of hexadecimal digits")
}

/// A container's `/etc/hosts`.
pub(crate) fn hosts_file(hostname: &str, host: &HostOptions, endpoint: Option<&Endpoint>) -> String {
    let added = host
        .extra_hosts
        .iter()
        .filter_map(|line| parse_extra_host(line, endpoint))
        .collect();
    hosts::Hosts {
        addresses: endpoint.map(|endpoint| endpoint.address).into_iter().collect(),
        names: vec![hostname.to_owned()],
        added,
    }
    .contents()
}

/// `name:address` or `name=address`; `host-gateway` is the bridge.
pub fn parse_extra_host(line: &str, endpoint: Option<&Endpoint>) -> Option<(String, IpAddr)> {
    let (name, address) = line.split_once(['=', ':'])?;
    let address = match (address, endpoint) {
        ("host-gateway", Some(endpoint)) => endpoint.gateway,
        ("host-gateway", None) => IpAddr::from([127, 0, 0, 1]),
        (text, _) => text.trim_matches(['[', ']']).parse().ok()?,
    };
    (!name.is_empty()).then(|| (name.to_owned(), address))
}

/// A container's `/etc/resolv.conf`: the host's own where they share a network, else what of it can be
/// reached from a bridge; and in either what was asked for.
pub(crate) fn resolv_conf(options: &HostOptions) -> String {
    let wishes = resolv::Wishes {
        name_servers: options.dns.servers.clone(),
        search: options.dns.search.clone(),
        options: options.dns.options.clone(),
    };
    let host = resolv::read_host().unwrap_or_else(|error| {
        tracing::warn!(%error, "containers get default name servers");
        String::new()
    });
    match options.network {
        NetworkMode::Host if wishes == resolv::Wishes::default() => host,
        NetworkMode::Host => resolv::ResolvConf::parse(&host).with(&wishes).to_string(),
        NetworkMode::Bridge | NetworkMode::None | NetworkMode::Container(_) => {
            let (conf, origin) = resolv::for_container(&host, &wishes, &[Family::V4]);
            tracing::trace!(?origin, "name servers of a container");
            conf.to_string()
        }
    }
}
