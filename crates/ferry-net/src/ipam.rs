//! Address management: which subnet a network gets, and which address a container.
//!
//! Pure: nothing here asks the kernel. The engine passes in what is taken ([`crate::routed_subnets`] and its own networks)
//! and stores a [`Pool`] or builds it again with [`Pool::claim`] from its containers' records.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::subnet::{Family, Subnet, address_bits};

/// A range that is cut into subnets of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRange {
    /// The whole range.
    pub base: Subnet,
    /// The prefix length of each subnet, in bits; at least that of `base`.
    pub prefix_len: u8,
}

/// Why no subnet or address was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Docker's words, on which scripts match.
    #[error("all predefined address pools have been fully subnetted")]
    NoSubnetLeft,
    /// A gateway or a static address that is not in the subnet.
    #[error("address {address} is not in subnet {subnet}")]
    OutsideSubnet {
        /// The address as it was asked for.
        address: IpAddr,
        /// The network's subnet.
        subnet: Subnet,
    },
    /// The range for automatic addresses is not within the subnet.
    #[error("address range {range} is not in subnet {subnet}")]
    RangeOutsideSubnet {
        /// The range as it was asked for.
        range: Subnet,
        /// The network's subnet.
        subnet: Subnet,
    },
    /// The network's own address, its broadcast address or its gateway.
    #[error("address {address} is reserved in subnet {subnet}")]
    Reserved {
        /// The address as it was asked for.
        address: IpAddr,
        /// The network's subnet.
        subnet: Subnet,
    },
    /// Somebody has it. Docker's words.
    #[error("Address already in use")]
    InUse {
        /// The address as it was asked for.
        address: IpAddr,
    },
    /// Every address has an owner. Begins with Docker's words.
    #[error("no available {} addresses on this network's address pools: {subnet} ({taken} in use)", subnet.family())]
    Exhausted {
        /// The network's subnet.
        subnet: Subnet,
        /// How many addresses are given out.
        taken: usize,
    },
}

/// Docker's default ranges: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20 to 192.168.240.0/20.
pub fn default_ranges() -> Vec<SubnetRange> {
    let range = |first: [u8; 4], base_len: u8, prefix_len: u8| SubnetRange {
        base: Subnet::containing(IpAddr::V4(Ipv4Addr::from(first)), base_len)
            .expect("a constant prefix of at most 32 bits is valid"),
        prefix_len,
    };
    (17..=31)
        .map(|second| range([172, second, 0, 0], 16, 16))
        .chain([range([192, 168, 0, 0], 16, 20)])
        .collect()
}

/// The first subnet of `ranges` that overlaps nothing in `taken`: the host's routes, its name servers, other networks.
pub fn choose_subnet(ranges: &[SubnetRange], taken: &[Subnet]) -> Result<Subnet, Error> {
    ranges
        .iter()
        .find_map(|range| first_free(range, taken))
        .ok_or(Error::NoSubnetLeft)
}

fn first_free(range: &SubnetRange, taken: &[Subnet]) -> Option<Subnet> {
    let mut at = range.base.first();
    loop {
        let candidate = Subnet::containing(at, range.prefix_len.max(range.base.prefix_len())).ok()?;
        let Some(obstacle) = taken.iter().find(|other| other.overlaps(candidate)) else {
            return Some(candidate);
        };
        // Continue behind whichever is larger, so that a huge range is not walked subnet by subnet through one route.
        let next = obstacle.last_bits().max(candidate.last_bits()).checked_add(1)?;
        if next > range.base.last_bits() {
            return None;
        }
        at = range.base.family().address_from_bits(next);
    }
}

/// The addresses of one network, each with at most one owner.
///
/// Addresses are given out in rising order, starting after the one given last and wrapping around, so that an address
/// that was just released is the last to come back: peers' neighbour caches and connection tracking have forgotten it by
/// then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Pool {
    subnet: Subnet,
    range: Subnet,
    gateway: IpAddr,
    taken: BTreeSet<IpAddr>,
    last: Option<IpAddr>,
}

/// How a [`Pool`] is written down; reading it checks what [`Pool`] promises.
#[derive(Serialize, Deserialize)]
struct Record {
    subnet: Subnet,
    range: Subnet,
    gateway: IpAddr,
    taken: BTreeSet<IpAddr>,
    last: Option<IpAddr>,
}

/// What a user may fix about a [`Pool`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolOptions {
    /// The gateway's address; by default the lowest usable one.
    pub gateway: Option<IpAddr>,
    /// Where automatic addresses come from; by default the whole subnet.
    pub range: Option<Subnet>,
}

impl Pool {
    /// An empty pool, whose gateway is reserved.
    pub fn new(subnet: Subnet, options: PoolOptions) -> Result<Self, Error> {
        let range = options.range.unwrap_or(subnet);
        if !(subnet.contains(range.first()) && subnet.contains(range.last())) {
            return Err(Error::RangeOutsideSubnet { range, subnet });
        }
        let (lowest, _) = usable_bits(subnet);
        let gateway = options
            .gateway
            .unwrap_or_else(|| subnet.family().address_from_bits(lowest));
        check_usable(subnet, gateway)?;
        Ok(Self {
            subnet,
            range,
            gateway,
            taken: BTreeSet::new(),
            last: None,
        })
    }

    /// The network's subnet.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The address of the bridge, which no container gets.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// The addresses that have an owner, in rising order.
    pub fn taken(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.taken.iter().copied()
    }

    /// Gives out the lowest unused address after the one given last.
    pub fn allocate(&mut self) -> Result<IpAddr, Error> {
        let (subnet_low, subnet_high) = usable_bits(self.subnet);
        let low = self.range.first_bits().max(subnet_low);
        let high = self.range.last_bits().min(subnet_high);
        let start = self
            .last
            .map(|last| address_bits(last).saturating_add(1))
            .filter(|at| (low..=high).contains(at));
        let start = start.unwrap_or(low);
        // Each step that fails meets the gateway or a taken address, so this ends soon even in an IPv6 subnet.
        let family = self.subnet.family();
        let address = (start..=high)
            .chain(low..start)
            .map(|bits| family.address_from_bits(bits))
            .find(|address| *address != self.gateway && !self.taken.contains(address))
            .ok_or(Error::Exhausted {
                subnet: self.subnet,
                taken: self.taken.len(),
            })?;
        self.taken.insert(address);
        self.last = Some(address);
        Ok(address)
    }

    /// Takes a given address: a static one, or the one a running container has when the engine comes back.
    pub fn claim(&mut self, address: IpAddr) -> Result<(), Error> {
        check_usable(self.subnet, address)?;
        if address == self.gateway {
            return Err(Error::Reserved {
                address,
                subnet: self.subnet,
            });
        }
        if self.taken.insert(address) {
            Ok(())
        } else {
            Err(Error::InUse { address })
        }
    }

    /// Gives an address back; one that nobody has is left alone. Call it only once the interface that had it is gone.
    pub fn release(&mut self, address: IpAddr) {
        self.taken.remove(&address);
    }
}

impl TryFrom<Record> for Pool {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self, Error> {
        let options = PoolOptions {
            gateway: Some(record.gateway),
            range: Some(record.range),
        };
        let mut pool = Self::new(record.subnet, options)?;
        for address in record.taken {
            pool.claim(address)?;
        }
        pool.last = record.last.filter(|last| record.subnet.contains(*last));
        Ok(pool)
    }
}

impl From<Pool> for Record {
    fn from(
        Pool {
            subnet,
            range,
            gateway,
            taken,
            last,
        }: Pool,
    ) -> Self {
        Self {
            subnet,
            range,
            gateway,
            taken,
            last,
        }
    }
}

fn check_usable(subnet: Subnet, address: IpAddr) -> Result<(), Error> {
    if !subnet.contains(address) {
        return Err(Error::OutsideSubnet { address, subnet });
    }
    let (low, high) = usable_bits(subnet);
    if (low..=high).contains(&address_bits(address)) {
        Ok(())
    } else {
        Err(Error::Reserved { address, subnet })
    }
}

/// The lowest and highest address that an interface may have. The first names the network (IPv4) or any router (IPv6), the
/// last of an IPv4 subnet is the broadcast address; subnets of one or two addresses have neither (RFC 3021, RFC 6164).
fn usable_bits(subnet: Subnet) -> (u128, u128) {
    let (first, last) = (subnet.first_bits(), subnet.last_bits());
    match (subnet.family(), last - first) {
        (_, 0 | 1) => (first, last),
        (Family::V4, _) => (first + 1, last - 1),
        (Family::V6, _) => (first + 1, last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn pool(text: &str) -> Pool {
        Pool::new(subnet(text), PoolOptions::default()).unwrap()
    }

    #[test]
    fn the_first_default_subnet_is_dockers_and_routes_are_avoided() {
        let ranges = default_ranges();
        let choose = |taken: &[&str]| {
            let taken: Vec<Subnet> = taken.iter().copied().map(subnet).collect();
            choose_subnet(&ranges, &taken).map(|chosen| chosen.to_string())
        };
        assert_eq!(choose(&[]).unwrap(), "172.17.0.0/16");
        assert_eq!(choose(&["172.17.3.0/24", "172.18.0.0/16"]).unwrap(), "172.19.0.0/16");
        assert_eq!(choose(&["172.16.0.0/12"]).unwrap(), "192.168.0.0/20");
        assert_eq!(
            choose(&["172.16.0.0/12", "192.168.0.0/20", "192.168.16.7/32"]).unwrap(),
            "192.168.32.0/20"
        );
        assert_eq!(choose(&["172.16.0.0/12", "192.168.0.0/16"]), Err(Error::NoSubnetLeft));
        assert_eq!(choose(&["fd00::/8"]).unwrap(), "172.17.0.0/16");
    }

    #[test]
    fn a_huge_range_is_not_walked() {
        let range = SubnetRange {
            base: subnet("fd00::/8"),
            prefix_len: 64,
        };
        let chosen = choose_subnet(&[range], &[subnet("fd00::/9")]).unwrap();
        assert_eq!(chosen, subnet("fd80::/64"));
    }

    #[test]
    fn addresses_rise_wrap_and_are_not_reused_at_once() {
        let mut pool = pool("10.0.0.0/29");
        assert_eq!(pool.gateway(), ip("10.0.0.1"));
        for expected in ["10.0.0.2", "10.0.0.3"] {
            assert_eq!(pool.allocate(), Ok(ip(expected)));
        }
        pool.release(ip("10.0.0.2"));
        for expected in ["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"] {
            assert_eq!(pool.allocate(), Ok(ip(expected)));
        }
        assert_eq!(
            pool.allocate(),
            Err(Error::Exhausted {
                subnet: subnet("10.0.0.0/29"),
                taken: 5
            })
        );
    }

    #[test]
    fn claimed_addresses_are_skipped() {
        let mut pool = pool("10.0.0.0/29");
        pool.claim(ip("10.0.0.2")).unwrap();
        assert_eq!(
            pool.claim(ip("10.0.0.2")),
            Err(Error::InUse {
                address: ip("10.0.0.2")
            })
        );
        assert_eq!(pool.allocate(), Ok(ip("10.0.0.3")));
    }

    #[test]
    fn what_nobody_may_have_is_refused() {
        let subnet = subnet("10.0.0.0/29");
        let mut pool = pool("10.0.0.0/29");
        for reserved in ["10.0.0.0", "10.0.0.1", "10.0.0.7"] {
            assert_eq!(
                pool.claim(ip(reserved)),
                Err(Error::Reserved {
                    address: ip(reserved),
                    subnet
                })
            );
        }
        for outside in ["10.0.0.8", "fd00::2"] {
            assert_eq!(
                pool.claim(ip(outside)),
                Err(Error::OutsideSubnet {
                    address: ip(outside),
                    subnet
                })
            );
        }
    }

    #[test]
    fn a_range_narrows_what_is_automatic_only() {
        let options = PoolOptions {
            gateway: Some(ip("10.0.0.254")),
            range: Some(subnet("10.0.0.128/30")),
        };
        let mut pool = Pool::new(subnet("10.0.0.0/24"), options).unwrap();
        for expected in ["10.0.0.128", "10.0.0.129", "10.0.0.130", "10.0.0.131"] {
            assert_eq!(pool.allocate(), Ok(ip(expected)));
        }
        assert!(matches!(pool.allocate(), Err(Error::Exhausted { .. })));
        assert_eq!(pool.claim(ip("10.0.0.9")), Ok(()));
    }

    #[test]
    fn tiny_and_vast_subnets() {
        assert_eq!(pool("10.0.0.0/31").allocate(), Ok(ip("10.0.0.1")));
        assert!(matches!(pool("10.0.0.0/32").allocate(), Err(Error::Exhausted { .. })));
        assert_eq!(pool("fd00::/64").allocate(), Ok(ip("fd00::2")));
        assert_eq!(pool("::/0").allocate(), Ok(ip("::2")));
    }

    #[test]
    fn a_pool_survives_being_written_down() {
        let mut pool = pool("10.0.0.0/29");
        pool.allocate().unwrap();
        let text = serde_json::to_string(&pool).unwrap();
        let mut again: Pool = serde_json::from_str(&text).unwrap();
        assert_eq!(again, pool);
        assert_eq!(again.allocate(), Ok(ip("10.0.0.3")));
        let forged = text.replace("\"10.0.0.2\"", "\"10.9.9.9\"");
        assert!(serde_json::from_str::<Pool>(&forged).is_err());
    }
}
