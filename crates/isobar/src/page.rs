//! The page: embedded files, served compressed, and the old paths of Prometheus that lead to ours.
//!
//! Files under `/assets/` carry a hash in their names and never change: clients keep them for a year. The HTML is asked for
//! again each time. Security headers (CSP and the rest) are the server's (`net`).
//! Limit: what the build embedded, 1.5 MB at most (checked by the page's own build).

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io::Read;
use std::sync::Arc;

/// One embedded file in its compressed forms.
struct Asset {
    path: &'static str,
    gzip: &'static [u8],
    brotli: Option<&'static [u8]>,
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/page_assets.rs"));

/// Views of the page: each is the same HTML, the script reads the path.
const VIEWS: &[&str] = &["/", "/explore", "/services", "/services/{name}", "/system/targets"];

/// Prometheus' paths that bookmarks, alerts and wikis point at, and where they lead here.
const MOVED: &[(&str, &str)] = &[
    ("/graph", "/explore"),
    ("/query", "/explore"),
    ("/targets", "/system/targets"),
    ("/service-discovery", "/system/targets"),
    ("/alerts", "/"),
    ("/rules", "/"),
    ("/status", "/"),
    ("/tsdb-status", "/"),
    ("/config", "/"),
    ("/flags", "/"),
];

/// Paths below which no person looks.
const PROGRAMS: &[&str] = &["/api/", "/v1/", "/ui/", "/-/", "/assets/"];

/// Shown where the binary was built without the page.
const NOTICE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Isobar</title></head><body>\
<main><h1>Isobar runs; its page was not built</h1>\
<p>This binary was compiled without Node. <code>make up</code> builds both; so do <code>cargo xtask page</code> and then <code>cargo build</code> again.</p>\
<p>The API answers: <a href=\"/api/v1/targets\">targets</a>, <a href=\"/metrics\">metrics</a>.</p></main></body></html>";

/// The page's routes. `prefix` is the route prefix redirects must lead below, without a slash at its end.
pub(crate) fn routes(prefix: &str) -> Router {
    let index: Arc<Index> = Arc::new(Index::new(prefix));
    let mut router = Router::new();
    for view in VIEWS {
        let index = index.clone();
        router = router.route(view, get(move |request: Request| async move { index.serve(&request) }));
    }
    for (old, new) in MOVED {
        let to = format!("{prefix}{new}");
        router = router.route(
            old,
            get(move |request: Request| {
                let query = request.uri().query().map_or(String::new(), |q| format!("?{q}"));
                let to = format!("{to}{query}");
                async move { (StatusCode::FOUND, [(header::LOCATION, to)]).into_response() }
            }),
        );
    }
    router.fallback(async move |request: Request| fallback(&index, &request))
}

/// Another file of the page, or 404: a browser's reader gets the page, which says so; a program gets a line.
fn fallback(index: &Index, request: &Request) -> Response {
    let path = request.uri().path();
    let answer = serve(path, request);
    let accepted = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let programs = PROGRAMS.iter().any(|below| path.starts_with(below));
    if answer.status() != StatusCode::NOT_FOUND || programs || !accepted.contains("text/html") {
        return answer;
    }
    let mut page = index.serve(request);
    if page.status() == StatusCode::OK {
        *page.status_mut() = StatusCode::NOT_FOUND;
    }
    page
}

/// The HTML: as built, or with the route prefix put into its paths.
struct Index {
    /// The rewritten text, where there is a prefix; sent as it is (`net` compresses it).
    rewritten: Option<String>,
}

impl Index {
    fn new(prefix: &str) -> Self {
        let asset = ASSETS.iter().find(|asset| asset.path == "/index.html").filter(|_| !prefix.is_empty());
        let text = asset.map(|asset| String::from_utf8_lossy(&unpack(asset.gzip)).into_owned());
        Index { rewritten: text.map(|text| text.replace("=\"/", &format!("=\"{prefix}/"))) }
    }

    fn serve(&self, request: &Request) -> Response {
        match &self.rewritten {
            Some(text) => {
                let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
                (headers, text.clone()).into_response()
            }
            None => serve("/index.html", request),
        }
    }
}

fn serve(path: &str, request: &Request) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        if path == "/index.html" {
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOTICE).into_response();
        }
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    };
    let tag = format!("\"{:016x}\"", fingerprint(asset.gzip));
    if request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (encoding, body) = match asset.brotli {
        Some(brotli) if accepts(accepted, "br") => (Some("br"), Body::from(brotli)),
        _ if accepts(accepted, "gzip") => (Some("gzip"), Body::from(asset.gzip)),
        _ => (None, Body::from(unpack(asset.gzip))),
    };
    let keep = if path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, keep)];
    let mut response = (headers, [(header::ETAG, tag)], body).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// FNV-1a of a file: changes when it does, which is all an entity tag must do.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether an Accept-Encoding header takes `coding`: named, and not with a weight of zero.
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|item| {
        let (name, weight) = item.split_once(';').map_or((item, ""), |(name, weight)| (name, weight));
        name.trim().eq_ignore_ascii_case(coding) && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn unpack(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // our own build packed it: a failure would be a damaged binary, and an empty answer says so
    let _ = flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain);
    plain
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "md" | "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_taken_only_where_named() {
        assert!(accepts("gzip, deflate, br;q=0.9", "br"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("", "gzip"));
        assert!(!accepts("brotli", "br"));
    }
}
