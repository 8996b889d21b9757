//! A container's `/etc/hosts`. `hosts(5)`

use std::fmt::Write;
use std::net::IpAddr;

/// What every container's file begins with, in Docker's words.
const LOCAL: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// What a container's file names beside localhost. Names are single words; the engine has checked them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The container's own addresses.
    pub addresses: Vec<IpAddr>,
    /// The container's own names; `--hostname` first, with its domain if it has one.
    pub names: Vec<String>,
    /// `--add-host`: a name and its address.
    pub added: Vec<(String, IpAddr)>,
}

impl Hosts {
    /// The whole file.
    pub fn contents(&self) -> String {
        let mut text = LOCAL.to_owned();
        let mut line = |address: &IpAddr, names: &str| {
            writeln!(text, "{address}\t{names}").expect("writing to a String cannot fail");
        };
        for (name, address) in &self.added {
            line(address, name);
        }
        if !self.names.is_empty() {
            let names = self.names.join(" ");
            for address in &self.addresses {
                line(address, &names);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_then_added_then_own() {
        let hosts = Hosts {
            addresses: vec!["172.17.0.2".parse().unwrap()],
            names: vec!["web.test".to_owned(), "web".to_owned()],
            added: vec![("db".to_owned(), "10.0.0.9".parse().unwrap())],
        };
        assert_eq!(
            hosts.contents(),
            format!("{LOCAL}10.0.0.9\tdb\n172.17.0.2\tweb.test web\n")
        );
        assert_eq!(Hosts::default().contents(), LOCAL);
    }
}
