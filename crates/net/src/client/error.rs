//! What can go wrong, in the words of Go's client.

use axum::http::{Method, StatusCode};
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use url::Url;

/// An exchange failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Before the head of the answer was there: `Get "http://…": …`.
    #[error("{verb} {url:?}: {cause}")]
    Exchange {
        /// The method as Go writes it: `Get`.
        verb: String,
        /// Where, without credentials.
        url: String,
        /// Why.
        #[source]
        cause: Cause,
    },
    /// The deadline passed while the body was read.
    #[error("context deadline exceeded")]
    Deadline,
    /// The body, inflated, is longer than the caller wants.
    #[error("body size limit exceeded")]
    BodyLimit(u64),
    /// The connection ended inside the body.
    #[error("unexpected EOF")]
    BodyCut,
    /// The body could not be inflated.
    #[error("gzip: {0}")]
    Gzip(String),
    /// The connection failed inside the body.
    #[error("{0}")]
    Body(String),
    /// The answer's status is none of 2xx.
    #[error("server returned HTTP status {0}")]
    Status(String),
}

/// Why there was no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The deadline passed.
    #[error("context deadline exceeded")]
    Deadline,
    /// No connection could be made.
    #[error("dial tcp {address}: connect: {}", go_words(.error))]
    Dial {
        /// To where.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The name could not be looked up.
    #[error("dial tcp: lookup {host}: {reason}")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        reason: String,
    },
    /// The server closed the connection without an answer.
    #[error("EOF")]
    Eof,
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// The answer is not HTTP.
    #[error("net/http: HTTP/1.x transport connection broken: malformed HTTP response: {0}")]
    Malformed(String),
    /// Too many redirects.
    #[error("stopped after 10 redirects")]
    TooManyRedirects,
    /// A redirect to nowhere.
    #[error("failed to parse Location header {0:?}: {1}")]
    BadLocation(String, String),
    /// The URL has no host.
    #[error("http: no Host in request URL")]
    NoHost,
    /// A scheme nobody speaks.
    #[error("unsupported protocol scheme {0:?}")]
    Scheme(String),
    /// `https`.
    #[error("TLS is not supported yet")]
    Tls,
    /// A user name or password in the URL.
    #[error("credentials in a URL are not supported yet")]
    Credentials,
    /// The request itself cannot be written.
    #[error("invalid request: {0}")]
    Request(String),
}

impl ClientError {
    pub(super) fn exchange(method: &Method, url: &Url, cause: Cause) -> Self {
        let mut verb = method.as_str().to_ascii_lowercase();
        if let Some(first) = verb.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let mut url = url.clone();
        if url.password().is_some() {
            // fails for URLs without a host, which have no password either
            let _ = url.set_password(Some("***"));
        }
        ClientError::Exchange { verb, url: url.to_string(), cause }
    }

    /// The error of a status that is not wanted: `server returned HTTP status 500 Internal Server Error`.
    pub fn status(status: StatusCode) -> Self {
        ClientError::Status(match status.canonical_reason() {
            Some(reason) => format!("{} {reason}", status.as_u16()),
            None => status.as_u16().to_string(),
        })
    }

    /// True when time ran out, before or in the body.
    pub fn is_deadline(&self) -> bool {
        matches!(self, ClientError::Deadline | ClientError::Exchange { cause: Cause::Deadline, .. })
    }

    /// True when trying again with the same request cannot help before something changes on our side.
    pub fn is_refused(&self) -> bool {
        matches!(
            self,
            ClientError::Exchange {
                cause: Cause::Tls | Cause::Credentials | Cause::Scheme(_) | Cause::NoHost | Cause::Request(_),
                ..
            }
        )
    }
}

/// The words of Go's `syscall.Errno` for what an operating system answers to sockets.
pub(super) fn go_words(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::ConnectionAborted => "software caused connection abort",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::TimedOut => "connection timed out",
        io::ErrorKind::BrokenPipe => "broken pipe",
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => {
            let text = error.to_string();
            return text.split(" (os error").next().unwrap_or_default().to_lowercase();
        }
    };
    words.to_owned()
}
