//! One HTTP/1.1 connection to an engine, over a unix socket, TCP or ssh.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Stdio;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use super::{Address, Body, Error};

/// The writing end of a connection: one request at a time.
pub(crate) type Sender = http1::SendRequest<Body>;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects and makes the connection ready for its first request.
pub(super) async fn open(address: &Address) -> Result<Sender, Error> {
    let stream = dial(address).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Error::Broken(error.into()))?;
    // Its error reaches the requester through the sender.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Connects.
pub(super) async fn dial(address: &Address) -> Result<Box<dyn Duplex>, Error> {
    match address {
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(unreachable(address))?;
            Ok(Box::new(stream))
        }
        Address::Tcp { host, port } => {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for ip in resolve(host).await? {
                match TcpStream::connect(SocketAddr::new(ip, *port)).await {
                    Ok(stream) => {
                        // Requests are small and each waits for its answer.
                        stream.set_nodelay(true).map_err(unreachable(address))?;
                        return Ok(Box::new(stream));
                    }
                    Err(error) => last = error,
                }
            }
            Err(unreachable(address)(last))
        }
        Address::Ssh { destination, port } => {
            let stream = ssh(destination, *port).map_err(unreachable(address))?;
            Ok(Box::new(stream))
        }
    }
}

fn unreachable(address: &Address) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Unreachable {
        address: address.clone(),
        source,
    }
}

/// Addresses of a host. Not getaddrinfo: a static binary must not load the name-service libraries.
async fn resolve(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let unknown = |reason: String| Error::UnknownHost {
        host: host.to_owned(),
        reason,
    };
    let resolver = hickory_resolver::Resolver::builder_tokio()
        .and_then(|builder| builder.build())
        .map_err(|error| unknown(error.to_string()))?;
    let found = resolver
        .lookup_ip(host)
        .await
        .map_err(|error| unknown(error.to_string()))?;
    Ok(found.iter().collect())
}

/// The other machine's default engine, through Docker's own relay command there.
fn ssh(destination: &str, port: Option<u16>) -> io::Result<impl Duplex + 'static> {
    let mut command = Command::new("ssh");
    command.args(["-o", "ConnectTimeout=30", "-T"]);
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    let mut child = command
        .args(["--", destination, "docker", "system", "dial-stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    // Waits for ssh so that it leaves no zombie; it ends when its stdin closes.
    tokio::spawn(async move { child.wait().await });
    Ok(tokio::io::join(output, input))
}
