//! Cross-origin reading, as Prometheus allows it: `--web.cors.origin`, for the API alone.

use crate::server::config::CorsOrigin;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};

/// CORS concerns what lies below this.
const API: &str = "/api/";

/// Adds the headers; answers OPTIONS where the routes have none.
pub(super) fn apply(
    cors: Option<&CorsOrigin>,
    method: &Method,
    path: &str,
    origin: Option<&HeaderValue>,
    response: &mut Response<Body>,
) {
    let Some(cors) = cors.filter(|_| path.starts_with(API)) else { return };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        if method != Method::OPTIONS {
            return;
        }
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(header::ALLOW);
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    let fixed = [
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if origin.to_str().is_ok_and(|origin| cors.allows(origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}
