//! Many clients that do nothing, or next to nothing.

use crate::peer::{config, start, status};
use axum::Router;
use axum::routing::get;
use net::server::ServerConfig;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_dribbling_clients_keep_nobody_out() {
    runtime::limit::raise_open_files().expect("the hard limit is enough");
    let server = start(config(), Router::new().route("/", get(|| async { "here" }))).await;
    let before = runtime::instrument::process::resident_bytes();
    let idle: Vec<TcpStream> = (0..600).map(|_| server.connect()).collect();
    let mut dribbling: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    let (stop, address) = (Arc::new(AtomicBool::new(false)), server.address);
    let dribble = {
        let stop = stop.clone();
        tokio::task::spawn_blocking(move || {
            let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ................................";
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                for stream in &mut dribbling {
                    // closed by the server to make room: comes again, as a stubborn client would
                    if stream.write_all(&head[at % head.len()..][..1]).is_err() {
                        *stream = TcpStream::connect(address).expect("connected");
                    }
                }
                at += 1;
                std::thread::sleep(Duration::from_secs(1));
            }
        })
    };
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(status(&server.get("/", "").await), "200");
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(slowest < Duration::from_secs(1), "a new client waited {slowest:?}");
    let open = server.metric("isobar_http_connections", "part", "test");
    assert!(open <= 512.0, "{open} connections are open");
    let grown = runtime::instrument::process::resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "512 connections took {grown} bytes");
    println!("slowest of 20 new clients: {slowest:?}; 512 connections: {} kB (clients' side included)", grown / 1024);
    stop.store(true, Ordering::Relaxed);
    dribble.await.expect("dribbled");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_the_one_idle_longest_goes_and_the_busy_stay() {
    let routes = Router::new().route("/", get(|| async { "here" })).route(
        "/slow",
        get(|| async {
            tokio::time::sleep(Duration::from_millis(800)).await;
            "late"
        }),
    );
    let server = start(ServerConfig { max_connections: 2, ..config() }, routes).await;
    let mut busy = server.connect();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut idle = server.connect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(status(&server.get("/", "").await), "200");
    assert_eq!(idle.read(&mut [0; 9]).expect("closed by the server"), 0);
    let late = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        busy.read_to_string(&mut text).map(|_| text)
    });
    assert!(late.await.expect("read").expect("answered").ends_with("late"));
    assert_eq!(server.metric("isobar_http_connections_closed_total", "cause", "room"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_slow_bodies_are_cut_off() {
    let limits = ServerConfig {
        head_timeout: Duration::from_millis(500),
        read_timeout: Duration::from_millis(1500),
        ..config()
    };
    let server = start(
        limits,
        Router::new().route("/", axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() })),
    )
    .await;
    let closed_after = |first: &'static [u8]| {
        let mut stream = server.connect();
        tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            stream.write_all(first).expect("sent");
            let _ = stream.read(&mut [0; 99]);
            start.elapsed()
        })
    };
    let head = closed_after(b"POST / HTTP/1.1\r\nHost: localhost\r\n");
    let body = closed_after(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc");
    let idle = closed_after(b"");
    let [head, body, idle] = [head.await.expect("ended"), body.await.expect("ended"), idle.await.expect("ended")];
    let between =
        |took: Duration, from: u64, to: u64| took >= Duration::from_millis(from) && took <= Duration::from_millis(to);
    assert!(between(head, 500, 2500), "head was waited for {head:?}");
    assert!(between(body, 1500, 4000), "body was waited for {body:?}");
    assert!(between(idle, 1500, 4000), "idle connection was kept {idle:?}");
}
