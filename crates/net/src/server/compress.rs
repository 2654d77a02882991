//! gzip of answers, where the client takes it and it pays.
//!
//! A body of known size under [`MIN`] goes as it is: the header alone costs 20 bytes and a packet holds 1400. Compressed
//! frame by frame (64 kB at level 1 take about 0.5 ms); while the route has nothing to say what was said is flushed, so
//! that a stream stays live.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body as HttpBody, Frame};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Smaller bodies are not compressed.
const MIN: u64 = 1024;
/// Compressed bytes are handed on from this many.
const CHUNK: usize = 16 << 10;

/// Whether the client takes gzip.
pub(super) fn accepted(headers: &HeaderMap) -> bool {
    let refused = |parameters: &str| {
        parameters.split(';').any(|p| p.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0)))
    };
    let takes = |coding: &str| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !refused(parameters)
    };
    headers.get_all(header::ACCEPT_ENCODING).iter().any(|v| v.to_str().is_ok_and(|v| v.split(',').any(takes)))
}

/// Compresses the body, or not.
pub(super) fn apply(accepted: bool, method: &Method, response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if !compressible(headers) || headers.contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut vary: Vec<HeaderValue> = vec![HeaderValue::from_static("Accept-Encoding")];
    vary.extend(parts.headers.get_all(header::VARY).iter().cloned());
    parts.headers.remove(header::VARY);
    for value in vary {
        parts.headers.append(header::VARY, value);
    }
    let small = body.size_hint().upper().is_some_and(|size| size < MIN);
    let without_body =
        matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT);
    if !accepted || small || without_body || method == Method::HEAD {
        return Response::from_parts(parts, body);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    weaken_etag(&mut parts.headers);
    let encoder = GzEncoder::new(Vec::with_capacity(CHUNK), Compression::fast());
    Response::from_parts(parts, Body::new(Gzip { body, encoder: Some(encoder), unflushed: false }))
}

fn compressible(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let others = [
        "application/json",
        "application/javascript",
        "application/manifest+json",
        "application/openmetrics-text",
        "application/x-ndjson",
        "application/yaml",
        "image/svg+xml",
    ];
    kind.starts_with("text/") || others.contains(&kind)
}

/// The compressed bytes are not the ones a strong tag names.
fn weaken_etag(headers: &mut HeaderMap) {
    let weak = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    let weak = weak.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}

struct Gzip {
    body: Body,
    /// `None` once the end was written.
    encoder: Option<GzEncoder<Vec<u8>>>,
    unflushed: bool,
}

impl HttpBody for Gzip {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        loop {
            let Some(encoder) = this.encoder.as_mut() else { return Poll::Ready(None) };
            if encoder.get_ref().len() >= CHUNK {
                return Poll::Ready(Some(Ok(Frame::data(take(encoder)))));
            }
            let outcome = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        this.unflushed = true;
                        encoder.write_all(&data)
                    }
                    // trailers are not used here and would end the compressed stream
                    Err(_) => Ok(()),
                },
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Pending if this.unflushed => {
                    this.unflushed = false;
                    match encoder.flush() {
                        Ok(()) if !encoder.get_ref().is_empty() => {
                            // the route wakes us when it has more
                            return Poll::Ready(Some(Ok(Frame::data(take(encoder)))));
                        }
                        other => other,
                    }
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => {
                    let finished = this.encoder.take().map(GzEncoder::finish);
                    return match finished {
                        Some(Ok(rest)) if !rest.is_empty() => Poll::Ready(Some(Ok(Frame::data(Bytes::from(rest))))),
                        Some(Err(error)) => Poll::Ready(Some(Err(axum::Error::new(error)))),
                        _ => Poll::Ready(None),
                    };
                }
            };
            if let Err(error) = outcome {
                return Poll::Ready(Some(Err(axum::Error::new(error))));
            }
        }
    }
}

fn take(encoder: &mut GzEncoder<Vec<u8>>) -> Bytes {
    Bytes::from(std::mem::replace(encoder.get_mut(), Vec::with_capacity(CHUNK)))
}
