//! Parameters of a request, as Go's `ParseForm` sees them: the form in the body first, then the query string.
//!
//! Repeated names keep their order (`match[]=a&match[]=b`). Pairs that cannot be read are left out and the first error
//! is kept: some of the original's handlers report it, others read on.
//! Limit: [`FORM_MAX`] bytes of body, as Go's.

use crate::server::RequestBodyError;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;

/// How large a form may be.
pub const FORM_MAX: usize = 10 << 20;

/// Name and value pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
    error: Option<String>,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text.
    pub fn parse(text: &[u8]) -> Self {
        let mut params = Params::default();
        params.add(text);
        params
    }

    /// The first value of `name`, or the empty string.
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or("")
    }

    /// Every value of `name`, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// True when `name` was given, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(n, _)| n == name)
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What could not be read, in Go's words.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn add(&mut self, text: &[u8]) {
        for pair in text.split(|b| *b == b'&') {
            if pair.contains(&b';') {
                self.fail("invalid semicolon separator in query".to_owned());
                continue;
            }
            if pair.is_empty() {
                continue;
            }
            let (name, value) = match pair.iter().position(|b| *b == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &pair[..0]),
            };
            match (unescape(name, true), unescape(value, true)) {
                (Ok(name), Ok(value)) => self.pairs.push((name, value)),
                (Err(error), _) | (_, Err(error)) => self.fail(error),
            }
        }
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }
}

/// Go's `url.QueryUnescape` (`plus_is_space`) and `url.PathUnescape`. Bytes that are not UTF-8 become U+FFFD.
pub fn unescape(text: &[u8], plus_is_space: bool) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'%' => {
                let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (hex(text.get(at + 1)), hex(text.get(at + 2))) else {
                    let shown = String::from_utf8_lossy(&text[at..text.len().min(at + 3)]);
                    return Err(format!("invalid URL escape {}", model::go_text::quote(&shown)));
                };
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            b'+' if plus_is_space => out.push(b' '),
            other => out.push(*other),
        }
        at += 1;
    }
    Ok(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

impl<S: Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let has_form = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) && is_form(&parts.headers);
        let mut params = Params::default();
        if has_form {
            params.add(&read(body, FORM_MAX).await?);
        }
        params.add(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(params)
    }
}

/// Reads a whole body of at most `limit` bytes; the error is the answer to send.
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Response> {
    let too_large =
        || (StatusCode::PAYLOAD_TOO_LARGE, format!("request body is larger than {limit} bytes\n")).into_response();
    // a length that was told is not waited for
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) if is_crowded(error.as_ref()) => {
            Err((StatusCode::SERVICE_UNAVAILABLE, format!("cannot read the request body: {error}\n")).into_response())
        }
        Err(error) => {
            Err((StatusCode::BAD_REQUEST, format!("cannot read the request body: {error}\n")).into_response())
        }
    }
}

/// Whether it is not this body that is too large, but all of them.
fn is_crowded(error: &(dyn std::error::Error + 'static)) -> bool {
    let crowded = |error: &RequestBodyError| matches!(error, RequestBodyError::Crowded(_));
    error.downcast_ref().is_some_and(crowded) || error.source().is_some_and(is_crowded)
}

fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_keep_their_order_and_errors_are_gos() {
        let params = Params::parse(b"match[]=up&x=%7Bjob%3D%22a+b%22%7D&match%5B%5D=down&&bare&=v");
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["up", "down"]);
        assert_eq!(params.get("x"), "{job=\"a b\"}");
        assert!(params.has("bare") && params.get("bare").is_empty() && !params.has("none"));
        assert_eq!(params.error(), None);
        let table = [
            ("a=%zz1&b=2", "invalid URL escape \"%zz\""),
            ("a=%4&b=2", "invalid URL escape \"%4\""),
            ("a=1;c=3&b=2", "invalid semicolon separator in query"),
        ];
        for (text, error) in table {
            let params = Params::parse(text.as_bytes());
            assert_eq!((params.error(), params.get("b"), params.get("a")), (Some(error), "2", ""), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_panic(bytes: Vec<u8>) {
            Params::parse(&bytes);
        }
    }
}
