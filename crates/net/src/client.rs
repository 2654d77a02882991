//! The HTTP client: one exchange at a time over a connection its caller keeps.
//!
//! ```text
//! KeepAlive (one per scrape target)          Pool (discovery, tools)
//!    └─ at most one idle connection             └─ a few KeepAlives per host
//! Client::send(request, keep, deadline) ─► Response ─► read_into(buffer, limit)
//!    connect · write · head · redirects · body: all before one deadline
//! ```
//!
//! No task runs behind a connection: it moves while somebody waits for it, and a dropped future closes it. Errors are worded
//! as Go's client words them, because Prometheus shows them on its targets page.
//! Limits: [`REDIRECTS_MAX`] redirects; response heads of [`BUFFER_MAX`] bytes; bodies by the caller's limit, counted after
//! inflating, so that a gzip bomb ends at the same byte as a plain body.
//! Not yet: TLS, proxies, HTTP/2. An `https` URL is refused by name.

pub mod block;
mod connection;
pub mod error;
pub mod pool;
mod response;

pub use connection::{BUFFER_MAX, KeepAlive};
pub use error::{Cause, ClientError};
pub use pool::{Fetched, Pool};
pub use response::{Grow, Response};
// the words a caller needs to write a request, so that it needs no crate of its own for them
pub use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use url::Url;

use crate::client::connection::Outgoing;
use axum::body::Bytes;
use axum::http::header;
use runtime::clock::{Clock, Instant};
use url::Origin;

/// How many redirects are followed, as Go's client does.
pub const REDIRECTS_MAX: usize = 10;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method; GET by [`Request::get`].
    pub method: Method,
    /// Where, `http://…`.
    pub url: Url,
    /// Headers besides `Host` and `Content-Length`.
    pub headers: HeaderMap,
    /// The body, empty for GET.
    pub body: Bytes,
    /// Whether redirects are followed; otherwise they are the answer.
    pub follow_redirects: bool,
}

impl Request {
    /// `GET url`, following redirects, without headers.
    pub fn get(url: Url) -> Self {
        Request { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), follow_redirects: true }
    }
}

/// Sends requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    clock: Clock,
}

impl Client {
    /// A client whose deadlines run by `clock`.
    pub fn new(clock: Clock) -> Self {
        Client { clock }
    }

    /// The client's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends `request` and waits for the answer's head; the body is read through the [`Response`], before the same
    /// `deadline`. The connection in `keep` is used again where it leads to the same host, and kept for the next call
    /// once the body was read to its end.
    pub async fn send<'a>(
        &self,
        request: &Request,
        keep: &'a mut KeepAlive,
        deadline: Instant,
    ) -> Result<Response<'a>, ClientError> {
        let mut hop = Hop {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        for _ in 0..=REDIRECTS_MAX {
            let (connection, head) = match self.clock.deadline(deadline, self.exchange(&hop, keep)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(cause)) => return Err(hop.failed(&request.method, cause)),
                Err(_) => return Err(hop.failed(&request.method, Cause::Deadline)),
            };
            let response = Response::new(connection, head, hop.url.clone(), self.clock.clone(), deadline);
            let next = if request.follow_redirects { hop.redirected(&response) } else { Ok(None) };
            match next.map_err(|cause| hop.failed(&request.method, cause))? {
                None => return Ok(response.keep_in(keep)),
                Some(next) => hop = next,
            }
            // as Go: a small body of a redirect is read so that the connection can be used again
            response.keep_in(keep).drain().await;
        }
        Err(hop.failed(&request.method, Cause::TooManyRedirects))
    }

    /// One request and the head of its answer. A kept connection that turns out to be closed is replaced once.
    async fn exchange(
        &self,
        hop: &Hop,
        keep: &mut KeepAlive,
    ) -> Result<(connection::Connection, connection::Head), Cause> {
        let outgoing = Outgoing::new(hop)?;
        if let Some(mut connection) = keep.take(outgoing.authority()) {
            match connection.ask(&outgoing).await {
                Ok(head) => return Ok((connection, head)),
                Err(failed) if failed.may_retry(&hop.method) => {}
                Err(failed) => return Err(failed.cause),
            }
        }
        let mut connection = connection::Connection::dial(outgoing.authority()).await?;
        let head = connection.ask(&outgoing).await.map_err(|failed| failed.cause)?;
        Ok((connection, head))
    }
}

/// One request on the way through redirects.
pub(crate) struct Hop {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Hop {
    fn failed(&self, method: &Method, cause: Cause) -> ClientError {
        ClientError::exchange(method, &self.url, cause)
    }

    /// The request that follows a redirect, as Go's client makes it: 301, 302 and 303 become GET, 307 and 308 repeat;
    /// credentials stay with the host they were meant for.
    fn redirected(&self, response: &Response<'_>) -> Result<Option<Hop>, Cause> {
        let repeats = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        let location = match response.headers().get(header::LOCATION) {
            Some(location) => location,
            // it says nowhere to go: it is the answer
            None => return Ok(None),
        };
        let text = location.to_str().unwrap_or("\u{fffd}");
        let url = self.url.join(text).map_err(|e| Cause::BadLocation(text.to_owned(), e.to_string()))?;
        let mut next = Hop { method: self.method.clone(), url, headers: self.headers.clone(), body: self.body.clone() };
        if !repeats {
            if next.method != Method::HEAD {
                next.method = Method::GET;
            }
            next.body = Bytes::new();
            next.headers.remove(header::CONTENT_TYPE);
        }
        let same_host = matches!((self.url.origin(), next.url.origin()), (Origin::Tuple(_, a, _), Origin::Tuple(_, b, _)) if a == b);
        if !same_host {
            for secret in [header::AUTHORIZATION, header::COOKIE, header::WWW_AUTHENTICATE] {
                next.headers.remove(secret);
            }
        }
        Ok(Some(next))
    }
}
