//! The page: embedded files, served compressed, and the old paths of Prometheus that lead to ours.
//!
//! Files under `/assets/` carry a hash in their names and never change: clients keep them for a year. The HTML is asked for
//! again each time. Security headers (CSP and the rest) are the server's (`net`).
//! Limit: what the build embedded, 1.5 MB at most (checked by the page's own build).

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::io::Read;

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

/// Shown where the binary was built without the page.
const NOTICE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Isobar</title></head><body>\
<main><h1>Isobar runs; its page was not built</h1>\
<p>This binary was compiled without Node. Build the page with <code>cargo xtask page</code>, or use <code>make up</code>.</p>\
<p>The API answers: <a href=\"/api/v1/targets\">targets</a>, <a href=\"/metrics\">metrics</a>.</p></main></body></html>";

/// The page's routes. `prefix` is the route prefix redirects must lead below, without a slash at its end.
pub(crate) fn routes(prefix: &str) -> Router {
    let mut router = Router::new();
    let below = html_below(prefix);
    for view in VIEWS {
        let below = below.clone();
        router = router.route(
            view,
            get(move |request: Request| async move {
                match below {
                    Some(html) => (
                        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")],
                        html,
                    )
                        .into_response(),
                    None => serve("/index.html", &request),
                }
            }),
        );
    }
    for (old, new) in MOVED {
        let to = format!("{prefix}{new}");
        router = router.route(
            old,
            get(move |request: Request| {
                let query = request.uri().query().map_or(String::new(), |q| format!("?{q}"));
                let to = format!("{to}{query}");
                async move { Redirect::to(&to) }
            }),
        );
    }
    router.fallback(|request: Request| async move { serve(request.uri().path(), &request) })
}

/// The HTML with its addresses below `prefix` (`ui/API.md`); `None` at the root, where the embedded bytes are right as they are.
fn html_below(prefix: &str) -> Option<String> {
    let asset = ASSETS.iter().find(|asset| asset.path == "/index.html").filter(|_| !prefix.is_empty())?;
    let html = String::from_utf8(unpack(asset.gzip)).ok()?;
    Some(html.replace("=\"/", &format!("=\"{prefix}/")))
}

fn serve(path: &str, request: &Request) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == path) else {
        if path == "/index.html" {
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOTICE).into_response();
        }
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    };
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (encoding, body) = match asset.brotli {
        Some(brotli) if accepts(accepted, "br") => (Some("br"), Body::from(brotli)),
        _ if accepts(accepted, "gzip") => (Some("gzip"), Body::from(asset.gzip)),
        _ => (None, Body::from(unpack(asset.gzip))),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let keep = if path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
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
        "md" => "text/plain; charset=utf-8",
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
