//! What the client makes of servers that behave, and of those that do not.

use crate::peer::{Running, config, start};
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use net::client::{Client, ClientError, KeepAlive, Pool, Request};
use runtime::clock::Clock;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use url::Url;

fn request(url: &str) -> Request {
    Request::get(Url::parse(url).expect("a URL"))
}

async fn fetch(request: &Request, keep: &mut KeepAlive, limit: u64) -> Result<Vec<u8>, ClientError> {
    let clock = Clock::system();
    let deadline = clock.instant() + Duration::from_secs(5);
    let response = Client::new(clock).send(request, keep, deadline).await?;
    response.check_status()?;
    let mut body = Vec::new();
    response.read_into(&mut body, limit).await?;
    Ok(body)
}

async fn get_text(url: &str) -> Result<String, String> {
    let body = fetch(&request(url), &mut KeepAlive::new(), 1 << 20).await.map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A server that answers each connection with fixed bytes, then closes it.
fn canned(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        }
    });
    address
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_worded_as_gos_client_words_them() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let refused = format!("Get \"http://{closed}/metrics\": dial tcp {closed}: connect: connection refused");
    assert_eq!(get_text(&format!("http://{closed}/metrics")).await, Err(refused));
    let mute = canned(vec![Vec::new()]);
    assert_eq!(get_text(&format!("http://{mute}/x?a=b")).await, Err(format!("Get \"http://{mute}/x?a=b\": EOF")));
    let failing = canned(vec![b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n".to_vec()]);
    assert_eq!(
        get_text(&format!("http://{failing}/")).await,
        Err("server returned HTTP status 500 Internal Server Error".to_owned())
    );
    let cut = canned(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()]);
    assert_eq!(get_text(&format!("http://{cut}/")).await, Err("unexpected EOF".to_owned()));
    let garbage = canned(vec![b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()]);
    let error = get_text(&format!("http://{garbage}/")).await.expect_err("not HTTP");
    assert!(error.contains("malformed HTTP response"), "{error}");
    assert_eq!(
        get_text("https://127.0.0.1:1/").await,
        Err("Get \"https://127.0.0.1:1/\": TLS is not supported yet".to_owned())
    );
    assert_eq!(
        get_text("ftp://127.0.0.1/").await,
        Err("Get \"ftp://127.0.0.1/\": unsupported protocol scheme \"ftp\"".to_owned())
    );
    let unknown = get_text("http://no-such-host.invalid:9/").await.expect_err("unknown");
    assert_eq!(unknown, "Get \"http://no-such-host.invalid:9/\": dial tcp: lookup no-such-host.invalid: no such host");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_deadline_spans_connect_head_and_body() {
    let never = canned(vec![Vec::new()]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let path_is_body = kept.len() % 2 == 1;
            if path_is_body {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            }
            kept.push(stream);
        }
    });
    let clock = Clock::system();
    let client = Client::new(clock.clone());
    let mut keep = KeepAlive::new();
    let start = clock.instant();
    let error = client
        .send(&request(&format!("http://{address}/")), &mut keep, start + Duration::from_millis(100))
        .await
        .expect_err("no head");
    assert!(error.is_deadline());
    assert_eq!(error.to_string(), format!("Get \"http://{address}/\": context deadline exceeded"));
    let start = clock.instant();
    let response = client
        .send(&request(&format!("http://{address}/")), &mut keep, start + Duration::from_millis(200))
        .await
        .expect("a head");
    let error = response.bytes(0).await.expect_err("no whole body");
    assert_eq!(error.to_string(), "context deadline exceeded");
    assert!(clock.elapsed(start) < Duration::from_secs(2));
    assert!(!keep.is_open());
    let _ = never;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_ends_at_the_limit_whatever_its_shape() {
    let large = vec![b'x'; 40 << 20];
    let bomb = gzip(&large);
    let with = |head: &str, body: &[u8]| [format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes(), body].concat();
    let mut chunked = with("Transfer-Encoding: chunked\r\n", b"");
    for part in large[..8 << 20].chunks(60_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let shapes = [
        with(&format!("Content-Length: {}\r\n", large.len()), &large),
        with(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len()), &bomb),
        with("Content-Encoding: gzip\r\n", &bomb),
        with("Content-Encoding: gzip\r\n", &[gzip(b"small"), bomb.clone()].concat()),
        with("Content-Encoding: gzip\r\n", &gzip(&bomb)),
        chunked,
        with("", &large),
    ];
    for (at, shape) in shapes.into_iter().enumerate() {
        let address = canned(vec![shape]);
        let mut keep = KeepAlive::new();
        let clock = Clock::system();
        let deadline = clock.instant() + Duration::from_secs(20);
        let request = request(&format!("http://{address}/"));
        let response = Client::new(clock).send(&request, &mut keep, deadline).await.expect("a head");
        let mut body = Vec::new();
        let read = response.read_into(&mut body, 4 << 20).await;
        if at == 4 {
            // inflated once it is the small bomb's bytes: only one coding was announced
            read.expect("within the limit");
            assert_eq!(body, bomb);
            continue;
        }
        assert_eq!(read.expect_err("too long").to_string(), "body size limit exceeded", "shape {at}");
        assert!(body.is_empty() && body.capacity() <= 1 << 20, "shape {at} keeps {} bytes", body.capacity());
        assert!(!keep.is_open());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_inflated_and_broken_gzip_is_named() {
    let plain = b"up 1\n".repeat(1000);
    let zipped = gzip(&plain);
    let answer = |body: &[u8]| [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".as_slice(), body].concat();
    let address = canned(vec![
        answer(&zipped),
        answer(b"up 1\nthis is not gzip at all, not at all"),
        answer(&zipped[..zipped.len() / 2]),
        answer(&zipped[..zipped.len() - 5]),
        answer(&[&zipped[..zipped.len() - 8], &[1, 2, 3, 4], &zipped[zipped.len() - 4..]].concat()),
    ]);
    let url = format!("http://{address}/");
    assert_eq!(get_text(&url).await.expect("inflated").as_bytes(), plain);
    assert_eq!(get_text(&url).await, Err("gzip: invalid header".to_owned()));
    assert_eq!(get_text(&url).await, Err("unexpected EOF".to_owned()));
    assert_eq!(get_text(&url).await, Err("unexpected EOF".to_owned()), "cut in its last eight bytes");
    assert_eq!(get_text(&url).await, Err("gzip: invalid checksum".to_owned()));
}

fn echo() -> Router {
    Router::new()
        .route(
            "/metrics",
            get(|headers: HeaderMap| async move { format!("{:?} {:?}", headers.get("host"), headers.get("accept")) }),
        )
        .route("/once", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/metrics")], "moved") }))
        .route("/for-ever", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/for-ever")]) }))
        .route("/nowhere", get(|| async { StatusCode::FOUND }))
        .route(
            "/again",
            axum::routing::post(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/echo")]) }),
        )
        .route("/see-other", axum::routing::post(|| async { (StatusCode::SEE_OTHER, [(header::LOCATION, "/echo")]) }))
        .route("/echo", get(|| async { "got" }).post(|body: String| async move { format!("posted {body}") }))
}

fn accepted(server: &Running) -> f64 {
    server.metric("isobar_http_connections_accepted_total", "part", "test")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_serves_again_and_is_replaced_when_closed() {
    let server = start(config(), echo()).await;
    let mut keep = KeepAlive::new();
    let mut ask = request(&format!("http://{}/metrics", server.address));
    ask.headers.insert("accept", "text/plain".parse().expect("a value"));
    for _ in 0..3 {
        let body = fetch(&ask, &mut keep, 0).await.expect("answered");
        assert_eq!(String::from_utf8_lossy(&body), format!("Some(\"{}\") Some(\"text/plain\")", server.address));
    }
    assert_eq!(accepted(&server), 1.0);
    let closing = canned(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(); 4]);
    let ask = request(&format!("http://{closing}/"));
    let mut post = ask.clone();
    post.method = axum::http::Method::POST;
    post.body = "once".into();
    // a POST is never sent twice, so a connection that was closed meanwhile must be noticed before
    for ask in [&ask, &post, &post, &ask] {
        assert_eq!(fetch(ask, &mut keep, 0).await.expect("answered"), b"ok");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_go_where_gos_client_goes() {
    let server = start(config(), echo()).await;
    let at = |path: &str| format!("http://{}{path}", server.address);
    assert!(get_text(&at("/once")).await.expect("followed").contains("127.0.0.1"));
    assert_eq!(get_text(&at("/for-ever")).await, Err(format!("Get {:?}: stopped after 10 redirects", at("/for-ever"))));
    assert_eq!(get_text(&at("/nowhere")).await, Err("server returned HTTP status 302 Found".to_owned()));
    let mut still = request(&at("/once"));
    still.follow_redirects = false;
    let error = fetch(&still, &mut KeepAlive::new(), 0).await.expect_err("a redirect is no success").to_string();
    assert_eq!(error, "server returned HTTP status 302 Found");
    for (path, answer) in [("/again", "posted body"), ("/see-other", "got")] {
        let mut post = request(&at(path));
        post.method = axum::http::Method::POST;
        post.body = "body".into();
        assert_eq!(fetch(&post, &mut KeepAlive::new(), 0).await.expect("followed"), answer.as_bytes(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_uses_connections_again() {
    let server = start(config(), echo()).await;
    let pool = Pool::new(Client::new(Clock::system()));
    let ask = request(&format!("http://{}/echo", server.address));
    for _ in 0..5 {
        let fetched = pool.fetch(&ask, Duration::from_secs(5), 1000).await.expect("answered");
        assert_eq!((fetched.status, fetched.body.as_ref()), (StatusCode::OK, b"got".as_slice()));
    }
    assert_eq!(accepted(&server), 1.0);
    let error = pool.fetch(&ask, Duration::from_secs(5), 2).await.expect_err("three bytes are too many");
    assert_eq!(error.to_string(), "body size limit exceeded");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn arbitrary_answers_never_panic(tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), head in 0..4usize) {
        let heads = ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"];
        let address = canned(vec![[heads[head].as_bytes(), &tail].concat()]);
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
            let _ = get_text(&format!("http://{address}/")).await;
        });
    }
}
