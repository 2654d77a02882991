//! One connection: dialing, asking, being kept.

use crate::client::Hop;
use crate::client::error::{Cause, go_words};
use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use url::Url;

/// How much of an answer is buffered before it is read: also the longest head.
pub const BUFFER_MAX: usize = 64 << 10;

/// The head of an answer, its body still on the wire.
pub(super) type Head = hyper::Response<Incoming>;

/// Host and port a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Authority {
    host: String,
    port: u16,
}

impl Authority {
    pub(super) fn of(url: &Url) -> Result<Self, Cause> {
        match url.scheme() {
            "http" => {}
            "https" => return Err(Cause::Tls),
            other => return Err(Cause::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Cause::Credentials);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Cause::NoHost)?;
        Ok(Authority { host: host.to_owned(), port: url.port_or_known_default().unwrap_or(80) })
    }
}

/// A request ready to be written, as often as needed.
pub(super) struct Outgoing {
    authority: Authority,
    head: axum::http::request::Parts,
    body: Bytes,
}

impl Outgoing {
    pub(super) fn new(hop: &Hop) -> Result<Self, Cause> {
        let authority = Authority::of(&hop.url)?;
        let path = &hop.url[url::Position::BeforePath..url::Position::AfterQuery];
        let uri: Uri = path.parse().map_err(|e| Cause::Request(format!("path {path:?}: {e}")))?;
        let host = &hop.url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = HeaderValue::from_str(host).map_err(|e| Cause::Request(format!("host {host:?}: {e}")))?;
        let (mut head, ()) = axum::http::Request::new(()).into_parts();
        head.method = hop.method.clone();
        head.uri = uri;
        head.headers = hop.headers.clone();
        head.headers.insert(header::HOST, host);
        Ok(Outgoing { authority, head, body: hop.body.clone() })
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }
}

/// Asking failed.
pub(super) struct Failed {
    pub(super) cause: Cause,
    /// The request was not written at all.
    unsent: bool,
    /// The connection ended before the first byte of an answer.
    unanswered: bool,
}

impl Failed {
    /// Whether a kept connection that failed so may be replaced without doing anything twice, as Go decides.
    pub(super) fn may_retry(&self, method: &Method) -> bool {
        self.unsent
            || (self.unanswered && matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE))
    }
}

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// An open connection.
pub(super) struct Connection {
    authority: Authority,
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    ended: bool,
}

impl Connection {
    #[expect(clippy::disallowed_methods, reason = "net is the door to sockets")]
    pub(super) async fn dial(authority: &Authority) -> Result<Self, Cause> {
        let mut failure = None;
        for address in resolve(authority).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Connection::over(stream, authority).await,
                // the first address is the one that was meant
                Err(error) => failure = failure.or(Some(Cause::Dial { address, error })),
            }
        }
        Err(failure
            .unwrap_or_else(|| Cause::Lookup { host: authority.host.clone(), reason: "no such host".to_owned() }))
    }

    async fn over(stream: TcpStream, authority: &Authority) -> Result<Self, Cause> {
        // requests are written whole
        let _ = stream.set_nodelay(true);
        let mut http = http1::Builder::new();
        http.max_buf_size(BUFFER_MAX);
        let (sender, driver) =
            http.handshake(TokioIo::new(stream)).await.map_err(|e| Cause::Connection(e.to_string()))?;
        Ok(Connection { authority: authority.clone(), sender, driver: Box::pin(driver), ended: false })
    }

    pub(super) async fn ask(&mut self, outgoing: &Outgoing) -> Result<Head, Failed> {
        let request = axum::http::Request::from_parts(outgoing.head.clone(), Full::new(outgoing.body.clone()));
        // a connection the server has closed meanwhile is noticed here, before anything is written
        self.look().await;
        let ready = {
            let sender = &mut self.sender;
            drive(&mut self.driver, &mut self.ended, sender.ready()).await
        };
        if ready.is_err() || self.ended {
            return Err(Failed { cause: Cause::Eof, unsent: true, unanswered: true });
        }
        let mut asked = Box::pin(self.sender.try_send_request(request));
        match drive(&mut self.driver, &mut self.ended, &mut asked).await {
            Ok(head) => Ok(head),
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                let error = failed.into_error();
                Err(Failed {
                    unsent,
                    unanswered: error.is_incomplete_message() || error.is_canceled(),
                    cause: cause(&error),
                })
            }
        }
    }

    /// Lets the connection see what has arrived, without waiting.
    async fn look(&mut self) {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if !self.ended && self.driver.as_mut().poll(cx).is_ready() {
                self.ended = true;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for `work` on the answer's body while the connection moves.
    pub(super) async fn drive<T>(&mut self, work: impl Future<Output = T> + Unpin) -> T {
        drive(&mut self.driver, &mut self.ended, work).await
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.sender.is_closed()
    }
}

/// Polls the connection beside `work`: nobody else moves it.
async fn drive<T>(driver: &mut Pin<Box<Driver>>, ended: &mut bool, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !*ended && driver.as_mut().poll(cx).is_ready() {
            *ended = true;
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// What hyper says, in Go's words.
fn cause(error: &hyper::Error) -> Cause {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    match io {
        Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => Cause::Eof,
        Some(io) => Cause::Connection(format!("read tcp: read: {}", go_words(io))),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => Cause::Eof,
        None if error.is_parse() => Cause::Malformed(error.to_string()),
        None => Cause::Connection(error.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "net is the door to names")]
async fn resolve(authority: &Authority) -> Result<Vec<SocketAddr>, Cause> {
    let host = authority.host.as_str();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, authority.port)]);
    }
    match tokio::net::lookup_host((bare, authority.port)).await {
        Ok(found) => Ok(found.collect()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(Cause::Lookup { host: host.to_owned(), reason: "i/o timeout".to_owned() })
        }
        Err(_) => Err(Cause::Lookup { host: host.to_owned(), reason: "no such host".to_owned() }),
    }
}

/// The place where a caller keeps its connection between exchanges: at most one, to one host.
#[derive(Default)]
pub struct KeepAlive(Option<Connection>);

impl KeepAlive {
    /// Nothing kept yet.
    pub fn new() -> Self {
        KeepAlive::default()
    }

    /// True when a connection is kept (the server may have closed it meanwhile).
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(Connection::is_open)
    }

    /// Closes what is kept.
    pub fn close(&mut self) {
        self.0 = None;
    }

    pub(super) fn take(&mut self, authority: &Authority) -> Option<Connection> {
        self.0.take().filter(|connection| connection.authority == *authority && connection.is_open())
    }

    pub(super) fn put(&mut self, connection: Connection) {
        if connection.is_open() {
            self.0 = Some(connection);
        }
    }

    pub(super) fn authority(&self) -> Option<&Authority> {
        self.0.as_ref().map(|connection| &connection.authority)
    }

    pub(super) fn leads_to(&self, authority: &Authority) -> bool {
        self.0.as_ref().is_some_and(|connection| connection.authority == *authority)
    }
}

impl std::fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeepAlive").field("authority", &self.0.as_ref().map(|c| &c.authority)).finish()
    }
}
