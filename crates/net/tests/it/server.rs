//! What the server answers, request by request.

use crate::peer::{Running, body, config, header, start, status};
use axum::Router;
use axum::routing::{get, post, put};
use net::form::Params;
use net::server::{CorsOrigin, HostPolicy, Listener, ServerConfig};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn routes() -> Router {
    let json = |text: &'static str| ([("content-type", "application/json")], text);
    Router::new()
        .route("/small", get(|| async { "hello" }))
        .route("/large", get(|| async { "x".repeat(100_000) }))
        .route("/page", get(|| async { axum::response::Html("<p>") }))
        .route("/api/v1/query", get(move || async move { json("{}") }).post(move || async move { json("{}") }))
        .route("/api/v1/label/{name}/values", get(|| async { "values" }))
        .route("/form", post(|params: Params| async move { format!("{:?}", params.iter().collect::<Vec<_>>()) }))
        .route("/change", put(|| async { "changed" }))
        .route(
            "/slow",
            get(|| async {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(300)).await;
                "late"
            }),
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn router_errors_use_gos_words() {
    let server = start(config(), routes()).await;
    let missing = server.get("/none", "").await;
    assert_eq!((status(&missing), body(&missing)), ("404", "404 page not found\n"));
    let wrong = server.exchange("DELETE /small HTTP/1.1\nHost: localhost\nConnection: close\n\n").await;
    assert_eq!((status(&wrong), body(&wrong)), ("405", "Method Not Allowed\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_not_ours_get_421_with_the_flag() {
    let server = start(ServerConfig { hosts: HostPolicy::new(["ok.example"]), ..config() }, routes()).await;
    for (host, code) in
        [("127.0.0.1:1", "200"), ("[::1]", "200"), ("ok.example", "200"), ("evil.example:80", "421"), ("", "421")]
    {
        let answer = server.exchange(&format!("GET /small HTTP/1.1\nHost: {host}\nConnection: close\n\n")).await;
        assert_eq!(status(&answer), code, "{host}: {answer}");
        assert_eq!(code == "421", body(&answer).contains("--web.allowed-hosts="), "{answer}");
    }
    assert_eq!(status(&server.exchange("GET /small HTTP/1.0\n\n").await), "200");
    assert_eq!(status(&server.exchange("GET /small HTTP/1.1\nConnection: close\n\n").await), "400");
    let two = "GET /small HTTP/1.1\nHost: localhost\nHost: evil.example\nConnection: close\n\n";
    assert_eq!(status(&server.exchange(two).await), "400");
    assert_eq!(
        status(
            &server.exchange("GET http://evil.example/small HTTP/1.1\nHost: localhost\nConnection: close\n\n").await
        ),
        "421"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_change_nothing() {
    let cors = Some(CorsOrigin::new(".*").expect("an expression"));
    let server = start(ServerConfig { cors, read_posts: &["/api/v1/query"], ..config() }, routes()).await;
    let table = [
        ("PUT /change", "", "200"),
        ("PUT /change", "Origin: http://localhost", "200"),
        ("PUT /change", "Origin: http://evil.example", "403"),
        ("PUT /change", "Origin: null", "403"),
        ("PUT /change", "Sec-Fetch-Site: cross-site", "403"),
        ("PUT /change", "Sec-Fetch-Site: same-origin", "200"),
        ("POST /api/v1/query", "Origin: http://evil.example", "200"),
        ("GET /small", "Origin: http://evil.example", "200"),
    ];
    for (line, extra, code) in table {
        let extra = if extra.is_empty() { String::new() } else { format!("{extra}\n") };
        let request = format!("{line} HTTP/1.1\nHost: localhost\nContent-Length: 0\nConnection: close\n{extra}\n");
        assert_eq!(status(&server.exchange(&request).await), code, "{line} {extra}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cors_is_prometheus_own() {
    let cors = Some(CorsOrigin::new("https?://(a|b)\\.example").expect("an expression"));
    let server = start(ServerConfig { cors, ..config() }, routes()).await;
    let allowed = server.get("/api/v1/query", "Origin: http://a.example\n").await;
    assert_eq!(header(&allowed, "access-control-allow-origin"), ["http://a.example"]);
    assert_eq!(header(&allowed, "access-control-expose-headers"), ["Date"]);
    assert_eq!(header(&allowed, "vary"), ["Accept-Encoding", "Origin"]);
    let refused = server.get("/api/v1/query", "Origin: http://c.example\n").await;
    assert!(header(&refused, "access-control-allow-origin").is_empty());
    let options = server
        .exchange("OPTIONS /api/v1/query HTTP/1.1\nHost: localhost\nOrigin: http://b.example\nConnection: close\n\n")
        .await;
    assert_eq!((status(&options), body(&options)), ("204", ""));
    assert_eq!(header(&options, "access-control-allow-methods"), ["GET, POST, OPTIONS"]);
    assert!(
        header(&server.get("/small", "Origin: http://a.example\n").await, "access-control-allow-origin").is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_be_strict() {
    let server = start(config(), routes()).await;
    let page = server.get("/page", "").await;
    assert!(header(&page, "content-security-policy")[0].contains("script-src 'self'"));
    for path in ["/page", "/small", "/none"] {
        let answer = server.get(path, "").await;
        assert_eq!(header(&answer, "x-content-type-options"), ["nosniff"], "{path}");
        assert!(header(&answer, "content-security-policy")[0].contains("frame-ancestors 'none'"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_gzipped_when_asked() {
    let server = start(config(), routes()).await;
    let zipped = server.get("/large", "Accept-Encoding: br, gzip\n").await;
    assert_eq!(header(&zipped, "content-encoding"), ["gzip"]);
    assert!(zipped.len() < 5_000, "{} bytes", zipped.len());
    for (path, extra) in
        [("/small", "Accept-Encoding: gzip\n"), ("/large", ""), ("/large", "Accept-Encoding: gzip;q=0\n")]
    {
        assert!(header(&server.get(path, extra).await, "content-encoding").is_empty(), "{path} {extra}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_cut_off_and_led_to() {
    let server = start(ServerConfig { route_prefix: "/prom".to_owned(), ..config() }, routes()).await;
    assert_eq!(status(&server.get("/prom/small", "").await), "200");
    assert_eq!(status(&server.get("/small", "").await), "404");
    assert_eq!(status(&server.get("/prometheus/small", "").await), "404");
    assert_eq!(header(&server.get("/", "").await, "location"), ["/prom/"]);
    assert_eq!(header(&server.get("/prom", "").await, "location"), ["/prom/"]);
    assert_eq!(header(&server.get("/prom//evil.example/x", "").await, "location"), ["/prom/evil.example/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_keep_repeated_keys_and_bodies_have_a_limit() {
    let server = start(ServerConfig { body_max: 1000, ..config() }, routes()).await;
    let form = |body: &str| {
        format!(
            "POST /form?c=3 HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\nContent-Length: {}\nConnection: close\n\n{body}",
            body.len()
        )
    };
    let answer = server.exchange(&form("match[]=a&match[]=b")).await;
    assert_eq!(body(&answer), r#"[("match[]", "a"), ("match[]", "b"), ("c", "3")]"#);
    let answer = server.exchange(&form(&"x".repeat(2000))).await;
    assert_eq!(status(&answer), "413");
    assert!(body(&answer).contains("larger than 1000 bytes"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route() {
    let server = start(config(), routes()).await;
    server.get("/api/v1/label/job/values", "").await;
    server.get("/none", "").await;
    // the counters move when the answer's last byte is handed over, which the client may see first
    for _ in 0..100 {
        if server.metric("prometheus_http_requests_total", "code", "404") == 1.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.metric("prometheus_http_requests_total", "handler", "/api/v1/label/:name/values"), 1.0);
    assert_eq!(server.metric("prometheus_http_requests_total", "code", "404"), 1.0);
    assert_eq!(server.metric("prometheus_http_response_size_bytes", "handler", "/api/v1/label/:name/values"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_names_its_holder_and_the_flag() {
    let server = start(config(), routes()).await;
    let again = ServerConfig { listen: server.address.to_string(), listen_flag: "--registry.listen", ..config() };
    let error = Listener::bind(&again).await.expect_err("taken").to_string();
    let me = format!("(pid {})", std::process::id());
    assert!(error.contains(&me) && error.ends_with("choose another with --registry.listen"), "{error}");
    for (listen, part) in [("9090", "host:port"), ("127.0.0.1:x", "no port"), ("127.0.0.1:70000", "no port")] {
        let config = ServerConfig { listen: listen.to_owned(), ..config() };
        let error = Listener::bind(&config).await.expect_err("no address").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_progress() {
    let server = start(config(), routes()).await;
    let (mut idle, mut half) = (server.connect(), server.connect());
    half.write_all(b"GET /small HT").expect("sent");
    let slow = async { server.get("/slow", "").await };
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.shutdown.stop();
    };
    let (answer, ()) = tokio::join!(slow, stop);
    assert_eq!(body(&answer), "late");
    let Running { done, .. } = server;
    tokio::time::timeout(Duration::from_secs(2), done).await.expect("stopped in time").expect("no panic");
    assert_eq!(idle.read(&mut [0; 9]).expect("closed"), 0);
    assert_eq!(half.read(&mut [0; 9]).unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_its_request() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (started, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begin, end) = (started.clone(), dropped.clone());
    let route = get(move || {
        let guard = Dropped(end.clone());
        begin.store(true, Ordering::SeqCst);
        async move {
            let _guard = guard;
            std::future::pending::<&'static str>().await
        }
    });
    let server = start(config(), Router::new().route("/never", route)).await;
    let mut stream = server.connect();
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let wait = async |flag: &AtomicBool, what: &str| {
        for _ in 0..200 {
            if flag.load(Ordering::SeqCst) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}");
    };
    wait(&started, "the request never started").await;
    drop(stream);
    wait(&dropped, "the request went on without its client").await;
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]
    #[test]
    fn arbitrary_bytes_do_not_stop_the_server(garbage in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), 8)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime").block_on(async {
            let server = start(config(), routes()).await;
            for bytes in garbage {
                let mut stream = server.connect();
                let _ = stream.write_all(b"GET /small HTTP/1.1\r\n");
                let _ = stream.write_all(&bytes);
            }
            assert_eq!(status(&server.get("/small", "").await), "200");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_framing_and_odd_paths_are_answered_as_by_the_original() {
    let server = start(config(), routes()).await;
    let table = [
        // a length above the limit is not waited for: nothing of the body is sent here
        ("POST /form", "Content-Length: 1000000000000", "413"),
        ("POST /small", "Content-Length: 1000000000000", "413"),
        ("POST /form", "Transfer-Encoding: gzip, chunked", "501"),
        ("POST /form", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked", "501"),
        ("GET //small", "", "301"),
        ("GET /x/../small", "", "301"),
        ("GET /sm%zzall", "", "400"),
        ("GET /small%", "", "400"),
        ("OPTIONS *", "", "404"),
    ];
    for (line, extra, code) in table {
        let extra = if extra.is_empty() { String::new() } else { format!("{extra}\n") };
        let answer = server.exchange(&format!("{line} HTTP/1.1\nHost: localhost\nConnection: close\n{extra}\n")).await;
        assert_eq!(status(&answer), code, "{line} {extra}: {answer}");
    }
    let led = server.get("//evil.example/../small?a=b", "").await;
    assert_eq!(header(&led, "location"), ["/small?a=b"]);
    let many: String = (0..400).map(|n| format!("X-{n}: a\n")).collect();
    assert_eq!(status(&server.get("/small", &many).await), "200");
    let more: String = (0..600).map(|n| format!("X-{n}: a\n")).collect();
    assert_eq!(status(&server.get("/small", &more).await), "431");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_body_stays_so() {
    let nothing = || async { axum::http::StatusCode::NOT_FOUND };
    let server = start(config(), Router::new().route("/v1/{*path}", get(nothing))).await;
    let answer = server.get("/v1/nosuch", "").await;
    assert_eq!((status(&answer), body(&answer)), ("404", ""), "a route's own 404 is as it says");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_requests_have_a_limit_together() {
    let server = start(ServerConfig { bodies_max: 1000, ..config() }, routes()).await;
    let form = |length: usize| {
        format!(
            "POST /form HTTP/1.1\nHost: localhost\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {length}\n\
             Connection: close\n\n{}",
            "x".repeat(length)
        )
    };
    for _ in 0..3 {
        // what one held is given back with it
        assert_eq!(status(&server.exchange(&form(900)).await), "200");
        let refused = server.exchange(&form(1100)).await;
        assert_eq!(status(&refused), "503");
        assert!(body(&refused).contains("all requests in progress"), "{refused}");
    }
}
