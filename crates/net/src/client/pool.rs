//! A pool of connections for those who ask many hosts now and then: discovery, health checks, tools.
//!
//! Limits: [`PER_HOST`] idle connections a host, [`IDLE_MAX`] in all; the oldest makes room. An idle connection is not
//! used again after [`IDLE_AGE`].

use crate::client::connection::{Authority, KeepAlive};
use crate::client::error::ClientError;
use crate::client::{Client, Request};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use runtime::clock::Instant;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Idle connections a host.
pub const PER_HOST: usize = 2;
/// Idle connections in all.
pub const IDLE_MAX: usize = 64;
/// How long an idle connection may be used again.
pub const IDLE_AGE: Duration = Duration::from_secs(90);

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, inflated.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// The pool; clones share it.
#[derive(Clone, Debug)]
pub struct Pool {
    client: Client,
    idle: Arc<Mutex<VecDeque<(Instant, KeepAlive)>>>,
}

impl Pool {
    /// An empty pool.
    pub fn new(client: Client) -> Self {
        Pool { client, idle: Arc::default() }
    }

    /// Sends `request` and reads its answer, all within `timeout`; a body beyond `limit` bytes (0: none) is an error.
    pub async fn fetch(&self, request: &Request, timeout: Duration, limit: u64) -> Result<Fetched, ClientError> {
        let deadline = self.client.clock().instant() + timeout;
        let mut keep = self.take(request);
        let response = self.client.send(request, &mut keep, deadline).await?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let body = response.bytes(limit).await?;
        self.put(keep);
        Ok(Fetched { status, headers, body, url })
    }

    fn take(&self, request: &Request) -> KeepAlive {
        let Ok(authority) = Authority::of(&request.url) else { return KeepAlive::new() };
        let now = self.client.clock().instant();
        let mut idle = self.idle.lock();
        idle.retain(|(since, keep)| now.since(*since) < IDLE_AGE && keep.is_open());
        let found = idle.iter().rposition(|(_, keep)| keep.leads_to(&authority));
        found.and_then(|at| idle.remove(at)).map_or_else(KeepAlive::new, |(_, keep)| keep)
    }

    fn put(&self, keep: KeepAlive) {
        let Some(authority) = keep.authority().filter(|_| keep.is_open()) else { return };
        let mut idle = self.idle.lock();
        let same = idle.iter().filter(|(_, other)| other.leads_to(authority)).count();
        if same >= PER_HOST {
            return;
        }
        if idle.len() >= IDLE_MAX {
            idle.pop_front();
        }
        idle.push_back((self.client.clock().instant(), keep));
    }
}
