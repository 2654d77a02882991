//! The table of open connections: what each is doing, and which one makes room.
//!
//! ```text
//! accept ─► idle ──first byte──► head ──whole head──► busy ──last byte of the answer──► idle
//!                                                      └─► body while the client's bytes are waited for
//! ```
//!
//! Who writes: the connection's own task, into atomics. Who reads: the sweep (once a second) and `admit`, under the
//! table's lock, which is held for one pass over at most `max` entries (about 5 µs at 512).

use crate::server::config::ServerConfig;
use parking_lot::Mutex;
use runtime::clock::Clock;
use runtime::instrument::{Counter, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was sent since the last answer.
    Idle = 0,
    /// A request's head has begun.
    Head = 1,
    /// A request is being worked on.
    Busy = 2,
    /// A request's body is waited for.
    Body = 3,
}

/// One connection, shared between its task and the table.
#[derive(Debug)]
pub(super) struct Connection {
    clock: Clock,
    base: runtime::clock::Instant,
    phase: AtomicU8,
    /// Since when no request is in progress, in ms of `base`: half-sent heads do not move it.
    idle_since: AtomicU64,
    /// Since when the phase is what it is.
    phase_since: AtomicU64,
    /// Since when the client has read nothing of what it is sent; 0: it reads.
    stalled_since: AtomicU64,
    /// Wakes the task to close.
    pub(super) close: Notify,
}

impl Connection {
    fn new(clock: Clock, base: runtime::clock::Instant) -> Self {
        let connection = Connection {
            clock,
            base,
            phase: AtomicU8::new(Phase::Idle as u8),
            idle_since: AtomicU64::new(0),
            phase_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            close: Notify::new(),
        };
        let now = connection.now();
        connection.idle_since.store(now, Ordering::Relaxed);
        connection.phase_since.store(now, Ordering::Relaxed);
        connection
    }

    /// Milliseconds since the table was made, at least 1: 0 means never.
    fn now(&self) -> u64 {
        self.clock.elapsed(self.base).as_millis() as u64 + 1
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Body,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        let now = self.now();
        if phase == Phase::Idle {
            self.idle_since.store(now, Ordering::Relaxed);
        }
        self.phase_since.store(now, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// No request is in progress, and the last answer has been taken.
    pub(super) fn may_close(&self) -> bool {
        matches!(self.phase(), Phase::Idle | Phase::Head) && self.stalled_since.load(Ordering::Relaxed) == 0
    }

    /// Bytes arrived while no request was in progress.
    pub(super) fn bytes_arrived(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// The client takes no more bytes for now (`true`), or has taken some.
    pub(super) fn write_stalled(&self, stalled: bool) {
        if !stalled {
            self.stalled_since.store(0, Ordering::Relaxed);
        } else if self.stalled_since.load(Ordering::Relaxed) == 0 {
            self.stalled_since.store(self.now(), Ordering::Relaxed);
        }
    }
}

/// Why a connection was closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Room,
    HeadTimeout,
    IdleTimeout,
    BodyTimeout,
    WriteTimeout,
}

const CAUSES: [&str; 5] = ["room", "head_timeout", "idle_timeout", "body_timeout", "write_timeout"];

/// The table of one listener.
#[derive(Debug)]
pub(super) struct Connections {
    clock: Clock,
    base: runtime::clock::Instant,
    max: usize,
    head_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
    table: Mutex<Table>,
    /// Told when a connection ends: somebody may wait for room.
    pub(super) room: Notify,
    accepted: Counter,
    closed: [Counter; 5],
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Connection>>,
}

impl Connections {
    pub(super) fn new(config: &ServerConfig, clock: Clock, registry: &Registry, address: &str) -> Self {
        let (part, labels) = (config.part, ["part", "address"]);
        let accepted = registry.counter_vec("isobar_http_connections_accepted_total", "Connections accepted.", &labels);
        let closed = registry.counter_vec(
            "isobar_http_connections_closed_total",
            "Connections closed by the server, by cause: room for a newer one, or a timeout.",
            &["part", "address", "cause"],
        );
        Connections {
            base: clock.instant(),
            clock,
            max: config.max_connections.max(1),
            head_timeout: config.head_timeout,
            read_timeout: config.read_timeout,
            write_timeout: config.write_timeout,
            table: Mutex::default(),
            room: Notify::new(),
            accepted: accepted.with(&[part, address]),
            closed: CAUSES.map(|cause| closed.with(&[part, address, cause])),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Open connections, and how many of them have a request in progress.
    pub(super) fn count(&self) -> (usize, usize) {
        let table = self.table.lock();
        (table.open.len(), table.open.values().filter(|c| matches!(c.phase(), Phase::Busy | Phase::Body)).count())
    }

    /// Makes room and enters a new connection. `None`: every connection has a request in progress; wait for `room`.
    pub(super) fn admit(self: &Arc<Self>) -> Option<(Arc<Connection>, Entry)> {
        let mut table = self.table.lock();
        if table.open.len() >= self.max {
            let victim = victim(&table.open)?;
            if let Some(connection) = table.open.remove(&victim) {
                self.close(&connection, Cause::Room);
            }
        }
        let id = table.next;
        table.next += 1;
        let connection = Arc::new(Connection::new(self.clock.clone(), self.base));
        table.open.insert(id, connection.clone());
        self.accepted.inc();
        Some((connection, Entry { id, connections: self.clone() }))
    }

    /// Closes one idle connection, for want of file descriptors. False when there is none.
    pub(super) fn close_idlest(&self) -> bool {
        let mut table = self.table.lock();
        let closed = victim(&table.open).and_then(|victim| table.open.remove(&victim));
        closed.inspect(|connection| self.close(connection, Cause::Room)).is_some()
    }

    /// Closes what has taken too long.
    pub(super) fn sweep(&self) {
        let now = self.clock.elapsed(self.base).as_millis() as u64 + 1;
        let table = self.table.lock();
        for connection in table.open.values() {
            let longer = |since: u64, limit: Duration| Duration::from_millis(now.saturating_sub(since)) >= limit;
            let since = connection.phase_since.load(Ordering::Relaxed);
            let stalled = connection.stalled_since.load(Ordering::Relaxed);
            let cause = match connection.phase() {
                Phase::Idle if longer(since, self.read_timeout) => Some(Cause::IdleTimeout),
                Phase::Head if longer(since, self.head_timeout) => Some(Cause::HeadTimeout),
                Phase::Body if longer(since, self.read_timeout) => Some(Cause::BodyTimeout),
                _ if stalled != 0 && longer(stalled, self.write_timeout) => Some(Cause::WriteTimeout),
                _ => None,
            };
            if let Some(cause) = cause {
                self.close(connection, cause);
            }
        }
    }

    /// Tells every connection without a request in progress to close.
    pub(super) fn close_idle(&self) {
        for connection in self.table.lock().open.values() {
            if connection.may_close() {
                connection.close.notify_one();
            }
        }
    }

    fn close(&self, connection: &Connection, cause: Cause) {
        self.closed[cause as usize].inc();
        connection.close.notify_one();
    }
}

/// The connection idle longest; when none is idle, the one whose body is waited for longest.
fn victim(open: &HashMap<u64, Arc<Connection>>) -> Option<u64> {
    let rank = |connection: &Connection| match connection.phase() {
        Phase::Idle | Phase::Head => Some((0, connection.idle_since.load(Ordering::Relaxed))),
        Phase::Body => Some((1, connection.phase_since.load(Ordering::Relaxed))),
        Phase::Busy => None,
    };
    let ranked = open.iter().filter_map(|(id, connection)| rank(connection).map(|rank| (rank, *id)));
    ranked.min().map(|(_, id)| id)
}

/// A place in the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    id: u64,
    connections: Arc<Connections>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.table.lock().open.remove(&self.id);
        self.connections.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;

    fn table(max: usize) -> (Clock, Arc<Connections>) {
        let clock = Clock::manual(Timestamp(0));
        let config = ServerConfig { max_connections: max, ..ServerConfig::new("test", "127.0.0.1:0") };
        let registry = Registry::new(clock.clone());
        (clock.clone(), Arc::new(Connections::new(&config, clock, &registry, "here")))
    }

    fn told_to_close(connection: &Connection) -> bool {
        let mut notified = std::pin::pin!(connection.close.notified());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(notified.as_mut(), &mut context).is_ready()
    }

    #[test]
    fn the_connection_idle_longest_makes_room_and_a_dribbling_head_is_idle() {
        let (clock, connections) = table(3);
        let all: Vec<_> = (0..3)
            .map(|_| {
                clock.advance(Duration::from_secs(1));
                connections.admit().expect("room")
            })
            .collect();
        all[0].0.enter(Phase::Busy);
        clock.advance(Duration::from_secs(1));
        all[1].0.bytes_arrived();
        let newer = connections.admit().expect("one makes room");
        assert!(told_to_close(&all[1].0), "the half-sent head was idle longest");
        assert!(!told_to_close(&all[0].0) && !told_to_close(&all[2].0) && !told_to_close(&newer.0));
        for (connection, _) in [&all[2], &newer] {
            connection.enter(Phase::Busy);
        }
        assert!(connections.admit().is_none(), "all are busy");
        all[2].0.enter(Phase::Body);
        assert!(connections.admit().is_some());
        assert!(told_to_close(&all[2].0), "a body that is waited for makes room last");
    }

    #[test]
    fn the_sweep_closes_what_takes_too_long() {
        let (clock, connections) = table(9);
        let all: Vec<_> = (0..5).map(|_| connections.admit().expect("room")).collect();
        let [idle, head, body, busy, stalled] = [0, 1, 2, 3, 4].map(|n| &all[n].0);
        head.bytes_arrived();
        body.enter(Phase::Body);
        busy.enter(Phase::Busy);
        stalled.enter(Phase::Busy);
        stalled.write_stalled(true);
        let closed = || [idle, head, body, busy, stalled].map(|c| told_to_close(c));
        clock.advance(Duration::from_secs(9));
        connections.sweep();
        assert_eq!(closed(), [false; 5]);
        clock.advance(Duration::from_secs(1));
        connections.sweep();
        assert_eq!(closed(), [false, true, false, false, false]);
        clock.advance(Duration::from_secs(50));
        connections.sweep();
        assert_eq!(closed(), [false, true, false, false, true]);
        clock.advance(Duration::from_secs(240));
        connections.sweep();
        assert_eq!(closed(), [true, true, true, false, true]);
        assert_eq!(connections.count(), (5, 3));
        drop(all);
        assert_eq!(connections.count(), (0, 0));
    }
}
