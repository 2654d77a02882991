//! The gate: what a request must satisfy before any route sees it.
//!
//! - a body must be framed in a way we read, and no longer than the limit when its length is told: else 501, 413 at once;
//! - `Host` must be one of ours, else 421: a page that rebinds its own name to this machine cannot read us;
//! - a request that changes state and says which page it comes from must come from our own page, else 403;
//! - a path must be readable (400) and plain: `//`, `.` and `..` lead to the plain one (301), as Go's mux does;
//! - the path must lie under the route prefix, which is cut off.

use crate::server::config::ServerConfig;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};

/// The answer instead of the route's; boxed because it is rare and large.
type Refusal = Box<Response<Body>>;

pub(super) fn check(config: &ServerConfig, request: &mut Request<Body>) -> Result<(), Refusal> {
    check_framing(config, request)?;
    check_host(config, request)?;
    check_path(request)?;
    cut_prefix(config, request)?;
    check_origin(config, request)
}

/// What a proxy before us could read as another request than we do, and what would only be refused at its end.
fn check_framing(config: &ServerConfig, request: &Request<Body>) -> Result<(), Refusal> {
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let plain = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !plain || codings.next().is_some() {
        return Err(closing(refuse(StatusCode::NOT_IMPLEMENTED, "501 Unsupported transfer encoding\n".to_owned())));
    }
    let (told, limit) = (request.body().size_hint().lower(), config.body_max);
    if told > limit {
        let text = format!("request body of {told} bytes is larger than {limit} bytes\n");
        return Err(closing(refuse(StatusCode::PAYLOAD_TOO_LARGE, text)));
    }
    Ok(())
}

/// The rest of such a request is not read.
fn closing(mut refusal: Refusal) -> Refusal {
    refusal.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    refusal
}

fn check_path(request: &Request<Body>) -> Result<(), Refusal> {
    let path = request.uri().path();
    if path.contains('%') && crate::form::unescape(path.as_bytes(), false).is_err() {
        return Err(refuse(StatusCode::BAD_REQUEST, "400 Bad Request\n".to_owned()));
    }
    match plain_path(path) {
        None => Ok(()),
        Some(plain) => {
            let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
            let mut refusal = redirect(&format!("{plain}{query}"));
            *refusal.status_mut() = StatusCode::MOVED_PERMANENTLY;
            Err(refusal)
        }
    }
}

/// A path without empty, `.` and `..` parts; `None` when it has none. It never leads above `/`, nor to another host.
fn plain_path(path: &str) -> Option<String> {
    let odd = |part: &str| matches!(part, "." | "..");
    if !path.starts_with('/') || !(path.contains("//") || path.split('/').any(odd)) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", parts.join("/")))
}

fn check_host(config: &ServerConfig, request: &Request<Body>) -> Result<(), Refusal> {
    // two of them are for a proxy and a server that each believe another one
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        return Err(refuse(StatusCode::BAD_REQUEST, "400 Bad Request: too many Host headers\n".to_owned()));
    }
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or("\u{fffd}")),
    };
    match host {
        None if request.version() < Version::HTTP_11 => Ok(()),
        None => Err(refuse(StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header\n".to_owned())),
        Some(host) if config.hosts.accepts(host) => Ok(()),
        Some(host) => {
            let shown: String = crate::server::config::host_of(host).chars().take(200).collect();
            let flag = config.hosts_flag;
            Err(refuse(
                StatusCode::MISDIRECTED_REQUEST,
                format!(
                    "host {shown:?} is not served here; if it is a name of this machine, start with {flag}={shown}\n"
                ),
            ))
        }
    }
}

fn cut_prefix(config: &ServerConfig, request: &mut Request<Body>) -> Result<(), Refusal> {
    let prefix = config.route_prefix.as_str();
    if prefix.is_empty() {
        return Ok(());
    }
    let path = request.uri().path();
    let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    match path.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('/') => {
            // a path that begins with two slashes would be read as an authority
            let inner = format!("/{}{query}", rest.trim_start_matches('/'));
            *request.uri_mut() =
                inner.parse::<Uri>().map_err(|_| refuse(StatusCode::BAD_REQUEST, "400 Bad Request\n".to_owned()))?;
            Ok(())
        }
        Some("") => Err(redirect(&format!("{prefix}/{query}"))),
        _ if path == "/" => Err(redirect(&format!("{prefix}/"))),
        _ => Err(refuse(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())),
    }
}

fn check_origin(config: &ServerConfig, request: &Request<Body>) -> Result<(), Refusal> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let headers = request.headers();
    let foreign = match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null")) {
        Some(origin) => {
            let reads = config.read_posts.contains(&request.uri().path());
            let readable = reads && config.cors.as_ref().is_some_and(|cors| cors.allows(origin));
            (!is_own(origin, headers) && !readable).then_some(origin)
        }
        None => headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site").then_some("another site"),
    };
    match foreign {
        None => Ok(()),
        Some(origin) => {
            let shown: String = origin.chars().take(200).collect();
            Err(refuse(StatusCode::FORBIDDEN, format!("a page of {shown:?} may not change anything here\n")))
        }
    }
}

/// Whether a page of `origin` was served under the name the request asks for.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let page = origin.split_once("://").map(|(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
}

fn refuse(code: StatusCode, text: String) -> Refusal {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Box::new(response)
}

fn redirect(to: &str) -> Refusal {
    let mut response = refuse(StatusCode::FOUND, String::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_plain() {
        for (path, plain) in [
            ("/", None),
            ("/a/b", None),
            ("/a/b/", None),
            ("/a..b/.c/d.", None),
            ("*", None),
            ("//", Some("/")),
            ("//evil.example/x", Some("/evil.example/x")),
            ("/a//b/", Some("/a/b/")),
            ("/a/./b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/../../etc/passwd", Some("/etc/passwd")),
            ("/a/..", Some("/")),
            ("/a/.", Some("/a")),
        ] {
            assert_eq!(plain_path(path).as_deref(), plain, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_plain_path_is_plain(path in "[/.a%]{0,20}") {
            if let Some(plain) = plain_path(&path) {
                assert!(plain_path(&plain).is_none() && plain.starts_with('/') && !plain.starts_with("//"), "{path} {plain}");
            }
        }
    }
}
