//! A bare TCP connection, for those who only want to know whether something listens, or speak their own protocol.

#![expect(clippy::disallowed_methods, reason = "this crate is the door to sockets")]

use crate::client::Cause;
use std::io;
use tokio::net::TcpStream;

/// Connects to `host:port`; every address of the name is tried in turn. Errors are worded as Go words them.
/// Has no deadline of its own.
pub async fn tcp(target: &str) -> Result<TcpStream, Cause> {
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    let lookup = |reason: String| Cause::Lookup { host: host.to_owned(), reason };
    let addresses = tokio::net::lookup_host(target).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => lookup("missing port in address".to_owned()),
        _ => lookup("no such host".to_owned()),
    })?;
    let mut last = lookup("no such host".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Cause::Dial { address, error },
        }
    }
    Err(last)
}
