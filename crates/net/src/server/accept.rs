//! The accept loop: admits connections, sweeps the table, and ends well.

use crate::server::Listener;
use crate::server::connections::{Connection, Connections, Entry};
use crate::server::service::{App, ConnectionService, HEAD_MAX, HEADERS_MAX};
use crate::server::traffic::Traffic;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use runtime::shutdown::Shutdown;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// How often the table is swept.
const SWEEP: Duration = Duration::from_secs(1);
/// How long accepting pauses after an error of the operating system (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn run(listener: Listener, connections: Arc<Connections>, app: Arc<App>, shutdown: &Shutdown) {
    let serving = shutdown.child();
    app.watch(&connections);
    let clock = connections.clock().clone();
    let mut sweep = clock.interval(clock.instant() + SWEEP, SWEEP);
    loop {
        tokio::select! {
            biased;
            () = shutdown.stopped() => break,
            _ = sweep.tick() => connections.sweep(),
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(admitted) = admit(&connections, shutdown).await else { break };
                    serving.spawn(app.part(), serve(stream, peer, admitted, app.clone(), serving.clone()));
                }
                Err(error) => {
                    let closed = connections.close_idlest();
                    tracing::warn!(err = %error, part = app.part(), closed_an_idle_connection = closed, "cannot accept a connection");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // idle ones close at once, answers in progress are finished
    connections.close_idle();
    if let Err(left) = serving.join(&clock, app.stop_limit()).await {
        tracing::warn!(part = app.part(), requests = connections.count().1, err = %left, "requests cut off by the stop");
    }
}

/// Waits for a place in the table; `None` when stopped meanwhile.
async fn admit(connections: &Arc<Connections>, shutdown: &Shutdown) -> Option<(Arc<Connection>, Entry)> {
    loop {
        let room = connections.room.notified();
        if let Some(admitted) = connections.admit() {
            return Some(admitted);
        }
        let clock = connections.clock();
        // the timeout lets the sweep close what stalls while every place is busy
        let _ = shutdown.until_stopped(clock.timeout(SWEEP, room)).await?;
        connections.sweep();
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    (connection, entry): (Arc<Connection>, Entry),
    app: Arc<App>,
    serving: Shutdown,
) {
    let _entry = entry;
    // answers are small and whole: waiting for more bytes only delays them
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Traffic::new(stream, connection.clone()));
    let service = ConnectionService { app, connection: connection.clone(), peer };
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_MAX).max_headers(HEADERS_MAX).header_read_timeout(None).half_close(false);
    let mut served = std::pin::pin!(http.serve_connection(io, service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, err = %error, "connection ended early");
                }
                return;
            }
            () = connection.close.notified() => return,
            () = serving.stopped(), if !stopping => {
                stopping = true;
                if connection.may_close() {
                    return;
                }
                served.as_mut().graceful_shutdown();
            }
        }
    }
}
