//! Binding: one address, with an error that says who is in the way.

use crate::server::config::ServerConfig;
use runtime::disk::{Disk, RealDisk};
use runtime::listening::holder;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use thiserror::Error;
use tokio::net::TcpListener;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A listener could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address makes no sense.
    #[error("cannot listen on {listen:?} ({flag}): {reason}")]
    Address {
        /// As given.
        listen: String,
        /// The flag it was given by.
        flag: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else listens there.
    #[error("cannot listen on {address}: the port is taken by {holder}; choose another with {flag}")]
    Taken {
        /// The address.
        address: SocketAddr,
        /// Who has it: `prometheus (pid 4711)`, or that it cannot be seen.
        holder: String,
        /// The flag that moves us.
        flag: &'static str,
    },
    /// The operating system refused.
    #[error("cannot listen on {address} ({flag}): {source}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The flag that moves us.
        flag: &'static str,
        /// Its words.
        #[source]
        source: io::Error,
    },
}

/// A bound socket, not yet accepting.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds the address of `config`. Needs a running tokio runtime.
    pub async fn bind(config: &ServerConfig) -> Result<Self, BindError> {
        let address = resolve(&config.listen).await.map_err(|reason| BindError::Address {
            listen: config.listen.clone(),
            flag: config.listen_flag,
            reason,
        })?;
        match open(address) {
            Ok((socket, address)) => Ok(Listener { socket, address }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(BindError::Taken {
                address,
                holder: holder_text(&RealDisk, address.port()),
                flag: config.listen_flag,
            }),
            Err(source) => Err(BindError::Refused { address, flag: config.listen_flag, source }),
        }
    }

    /// The address, with the port the system chose where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

fn holder_text(disk: &dyn Disk, port: u16) -> String {
    match holder(disk, Path::new("/proc"), port) {
        Some(holder) => holder.owner(),
        None => "a program that can not be seen".to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "net is the door to names and sockets")]
async fn resolve(listen: &str) -> Result<SocketAddr, String> {
    let (host, port) = listen.rsplit_once(':').ok_or("the form is host:port, or :port for every address")?;
    let port: u16 = port.parse().map_err(|_| format!("{port:?} is no port"))?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|e| format!("cannot look up {host:?}: {e}"))?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(|| format!("{host:?} has no address"))
}

fn open(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let every_address = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)) {
        Ok(socket) => socket,
        // a machine without IPv6: every address is then every IPv4 address
        Err(_) if every_address => return open(SocketAddr::from(([0, 0, 0, 0], address.port()))),
        Err(error) => return Err(error),
    };
    if every_address {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from_std(socket.into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}
