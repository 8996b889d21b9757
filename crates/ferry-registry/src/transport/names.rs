//! Host names to addresses without getaddrinfo: a static glibc binary must never load NSS.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Looks names up in `/etc/hosts`, then at the servers of `/etc/resolv.conf`. Both are read anew
/// for each look-up: they change under a running engine, and connections are reused anyway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names;

/// Why a name has no address, in fewer words than the resolver's own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("no such host {0:?}")]
    NoSuchHost(String),
    #[error("look-up of host {host:?} failed: {source}")]
    Failed { host: String, source: NetError },
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let host = name.as_str();
            let addresses = if is_localhost(host) {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                match look_up(host).await {
                    Ok(addresses) => addresses,
                    Err(error) if error.is_no_records_found() => {
                        return Err(LookupError::NoSuchHost(host.to_owned()));
                    }
                    Err(source) => {
                        let host = host.to_owned();
                        return Err(LookupError::Failed { host, source });
                    }
                }
            };
            // The connector fills in the port.
            let sockets: Vec<_> = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(sockets.into_iter())
        })
    }
}

async fn look_up(host: &str) -> Result<Vec<IpAddr>, NetError> {
    let resolver = TokioResolver::builder_tokio()?.build()?;
    Ok(resolver.lookup_ip(host).await?.iter().collect())
}

/// `localhost` and what lies below it never leave the machine. Source: RFC 6761 section 6.3.
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label = host.rsplit('.').next().unwrap_or(host);
    label.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_label_makes_localhost() {
        for (host, expected) in [
            ("localhost", true),
            ("LocalHost", true),
            ("registry.localhost", true),
            ("localhost.", true),
            ("localhost.example.com", false),
            ("notlocalhost", false),
        ] {
            assert_eq!(is_localhost(host), expected, "{host}");
        }
    }
}
