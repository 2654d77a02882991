//! An answer: its head, and its body read within limits.

use crate::client::connection::{Connection, Head, KeepAlive};
use crate::client::error::ClientError;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use runtime::buffer::Buffer;
use runtime::clock::{Clock, Instant};
use std::io::{self, Write};
use url::Url;

/// How much of a body nobody wants is read to save the connection.
const DRAIN_MAX: usize = 16 << 10;
/// How much a reused buffer may keep after a body that failed.
const BUFFER_KEPT: usize = 1 << 20;

/// What a body is appended to: a `Vec` for small ones, a [`Buffer`] where they may be large.
pub trait Grow {
    /// Appends; `ceiling` is how long the whole may become.
    ///
    /// # Errors
    /// When there is no memory for it.
    fn grow(&mut self, data: &[u8], ceiling: u64) -> io::Result<()>;
    /// Forgets the content and gives large memory back.
    fn forget(&mut self);
    /// Bytes held.
    fn held(&self) -> usize;
}

impl Grow for Vec<u8> {
    fn grow(&mut self, data: &[u8], ceiling: u64) -> io::Result<()> {
        if self.capacity() - self.len() < data.len() {
            // doubles, but not beyond what may still come
            let left = ceiling.saturating_sub(self.len() as u64);
            let growth = (self.capacity() as u64).max(64 << 10).min(left);
            self.reserve_exact(data.len().max(growth as usize));
        }
        self.extend_from_slice(data);
        Ok(())
    }

    fn forget(&mut self) {
        self.clear();
        self.shrink_to(BUFFER_KEPT);
    }

    fn held(&self) -> usize {
        self.len()
    }
}

impl Grow for Buffer {
    fn grow(&mut self, data: &[u8], ceiling: u64) -> io::Result<()> {
        self.append(data, ceiling)
    }

    fn forget(&mut self) {
        self.clear();
    }

    fn held(&self) -> usize {
        self.len()
    }
}

/// An answer whose body is still to be read. Dropped unread, the connection is closed.
pub struct Response<'a> {
    connection: Option<Connection>,
    keep: Option<&'a mut KeepAlive>,
    head: axum::http::response::Parts,
    body: Incoming,
    url: Url,
    clock: Clock,
    deadline: Instant,
}

impl<'a> Response<'a> {
    pub(super) fn new(connection: Connection, head: Head, url: Url, clock: Clock, deadline: Instant) -> Self {
        let (head, body) = head.into_parts();
        Response { connection: Some(connection), keep: None, head, body, url, clock, deadline }
    }

    /// Gives the connection to `keep` once the body was read to its end.
    pub(super) fn keep_in<'b>(mut self, keep: &'b mut KeepAlive) -> Response<'b> {
        let connection = self.connection.take();
        Response {
            connection,
            keep: Some(keep),
            head: self.head,
            body: self.body,
            url: self.url,
            clock: self.clock,
            deadline: self.deadline,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Where the answer came from, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// An error unless the status is 2xx.
    pub fn check_status(&self) -> Result<(), ClientError> {
        if self.head.status.is_success() { Ok(()) } else { Err(ClientError::status(self.head.status)) }
    }

    /// Reads the body to its end and appends it, inflated if it is gzipped, to `into`; `limit` is the largest number of
    /// bytes appended (0: none). After an error `into` is empty and its memory given back.
    pub async fn read_into(mut self, into: &mut impl Grow, limit: u64) -> Result<(), ClientError> {
        let clock = self.clock.clone();
        let deadline = self.deadline;
        let read = match clock.deadline(deadline, self.read_all(into, limit)).await {
            Ok(read) => read,
            Err(_) => Err(ClientError::Deadline),
        };
        match &read {
            Ok(()) => self.release(),
            Err(_) => into.forget(),
        }
        read
    }

    /// [`Response::read_into`] a buffer of its own.
    pub async fn bytes(self, limit: u64) -> Result<Bytes, ClientError> {
        let mut into = Vec::new();
        self.read_into(&mut into, limit).await?;
        Ok(Bytes::from(into))
    }

    /// Reads a little of a body nobody wants, so that the connection can be used again.
    pub(super) async fn drain(self) {
        let _ = self.bytes(DRAIN_MAX as u64).await;
    }

    async fn read_all(&mut self, into: &mut impl Grow, limit: u64) -> Result<(), ClientError> {
        let limit = if limit == 0 { u64::MAX } else { limit };
        let gzipped =
            self.head.headers.get(header::CONTENT_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip"));
        let announced = self.body.size_hint().lower();
        if !gzipped && announced > limit {
            return Err(ClientError::BodyLimit(limit));
        }
        // what is announced is not believed before it arrives, but nothing longer comes
        let ceiling = if gzipped || announced == 0 { limit } else { announced };
        let ceiling = ceiling.saturating_add(into.held() as u64);
        let sink = Sink { into, left: limit, written: 0, ceiling };
        if !gzipped {
            let mut sink = sink;
            while let Some(data) = self.next().await? {
                sink.write_all(&data).map_err(|error| match error.kind() {
                    io::ErrorKind::StorageFull => ClientError::BodyLimit(limit),
                    _ => ClientError::Body(error.to_string()),
                })?;
            }
            return Ok(());
        }
        let mut inflated = MultiGzDecoder::new(sink);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull => ClientError::BodyLimit(limit),
            io::ErrorKind::UnexpectedEof => ClientError::BodyCut,
            _ if error.to_string().contains("header") => ClientError::Gzip("invalid header".to_owned()),
            _ => ClientError::Gzip(error.to_string()),
        };
        // the last four bytes say how long the inflated body is
        let mut tail = [0; 4];
        while let Some(data) = self.next().await? {
            inflated.write_all(&data).map_err(failed)?;
            for byte in &data[data.len().saturating_sub(4)..] {
                tail.rotate_left(1);
                tail[3] = *byte;
            }
        }
        match inflated.try_finish() {
            Err(error) if error.kind() != io::ErrorKind::StorageFull => {
                let whole = u32::from_le_bytes(tail) == inflated.get_ref().written as u32;
                Err(if whole { ClientError::Gzip("invalid checksum".to_owned()) } else { ClientError::BodyCut })
            }
            outcome => outcome.map_err(failed),
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(connection) = self.connection.as_mut() else { return Ok(None) };
        loop {
            match connection.drive(self.body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }

    /// The body has ended: the connection may serve again.
    fn release(&mut self) {
        if let (Some(connection), Some(keep)) = (self.connection.take(), self.keep.as_mut()) {
            keep.put(connection);
        }
    }
}

impl std::fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.head.status)
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

fn broken(error: &hyper::Error) -> ClientError {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => ClientError::BodyCut,
        Some(io) => ClientError::Body(format!("read tcp: read: {}", crate::client::error::go_words(io))),
        None if error.is_incomplete_message() || error.is_closed() => ClientError::BodyCut,
        None => ClientError::Body(error.to_string()),
    }
}

/// Appends until the limit.
struct Sink<'a, G> {
    into: &'a mut G,
    left: u64,
    written: u64,
    ceiling: u64,
}

impl<G: Grow> Write for Sink<'_, G> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() as u64 > self.left {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= data.len() as u64;
        self.written += data.len() as u64;
        self.into.grow(data, self.ceiling)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
