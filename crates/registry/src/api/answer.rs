//! What an endpoint answers: a status, headers, and JSON or text.

use crate::registration::BodyError;
use crate::state::Refusal;
use crate::store::{TooManyWaiting, WriteError};
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use runtime::log::LogError;
use serde::Serialize;

pub(crate) const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
pub(crate) const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
pub(crate) const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
pub(crate) const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
pub(crate) const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");
pub(crate) const REASON: HeaderName = HeaderName::from_static("x-consul-reason");
pub(crate) const CACHE: HeaderName = HeaderName::from_static("x-cache");

/// An answer; see the module.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
    is_json: bool,
}

impl Answer {
    /// 200 with JSON.
    pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        Answer::raw_json(to_json(value))
    }

    /// 200 with bytes that are JSON.
    pub(crate) fn raw_json(body: Vec<u8>) -> Self {
        let answer = Answer { status: StatusCode::OK, headers: Vec::new(), body, is_json: true };
        answer.with(header::CONTENT_TYPE, "application/json")
    }

    /// A sentence.
    pub(crate) fn text(status: StatusCode, what: String) -> Self {
        let answer = Answer { status, headers: Vec::new(), body: what.into_bytes(), is_json: false };
        answer.with(header::CONTENT_TYPE, "text/plain; charset=utf-8")
    }

    /// 200 without a body.
    pub(crate) fn empty() -> Self {
        Answer { status: StatusCode::OK, headers: Vec::new(), body: Vec::new(), is_json: false }
    }

    /// 404 without a body: no such path.
    pub(crate) fn nothing_there() -> Self {
        Answer { status: StatusCode::NOT_FOUND, ..Answer::empty() }
    }

    /// 400.
    pub(crate) fn bad(what: impl Into<String>) -> Self {
        Answer::text(StatusCode::BAD_REQUEST, what.into())
    }

    /// 500.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Answer::text(StatusCode::INTERNAL_SERVER_ERROR, what.into())
    }

    /// An error of a read that the original sends to its servers: it carries an index that means nothing.
    pub(crate) fn failed_read(what: impl Into<String>) -> Self {
        Answer::failed(what).with(INDEX, "1").with(KNOWN_LEADER, "false").with(LAST_CONTACT, "0")
    }

    /// The same with another status.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Answer { status, ..self }
    }

    /// The same with a header; a value that can not stand in one is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.retain(|(other, _)| *other != name);
            self.headers.push((name, value));
        }
        self
    }

    /// JSON indented by four spaces, with a newline at its end, when asked for.
    pub(crate) fn pretty(mut self, wanted: bool) -> Self {
        if wanted
            && self.is_json
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(&self.body)
        {
            let mut body = Vec::with_capacity(self.body.len() * 2);
            let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
            let mut writer = serde_json::Serializer::with_formatter(&mut body, formatter);
            if value.serialize(&mut writer).is_ok() {
                body.push(b'\n');
                self.body = body;
            }
        }
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}

/// JSON of plain data.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers are plain data with text keys")
}

impl From<BodyError> for Answer {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Decode(_) | BodyError::Invalid(_) => Answer::bad(error.to_string()),
            BodyError::Failed(_) => Answer::failed(error.to_string()),
        }
    }
}

impl From<WriteError> for Answer {
    fn from(error: WriteError) -> Self {
        let status = match &error {
            WriteError::Refused(Refusal::Limit { .. }) => StatusCode::TOO_MANY_REQUESTS,
            WriteError::Log(LogError::Busy { .. } | LogError::Full(_)) => StatusCode::SERVICE_UNAVAILABLE,
            WriteError::Refused(_) | WriteError::Log(_) | WriteError::NotDurable(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Answer::text(status, error.to_string())
    }
}

impl From<TooManyWaiting> for Answer {
    fn from(error: TooManyWaiting) -> Self {
        Answer::text(StatusCode::TOO_MANY_REQUESTS, error.to_string()).with(header::RETRY_AFTER, "1")
    }
}
