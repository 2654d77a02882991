//! Refusals, as the API says them.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use runtime::cancel::Reason;
use storage::SelectError;

/// Longest text of an error, in bytes.
const TEXT_MAX: usize = 8192;

/// The API's kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Timeout,
    Canceled,
    Execution,
    BadData,
    Internal,
    Unavailable,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Timeout => "timeout",
            Kind::Canceled => "canceled",
            Kind::Execution => "execution",
            Kind::BadData => "bad_data",
            Kind::Internal => "internal",
            Kind::Unavailable => "unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::BadData => StatusCode::BAD_REQUEST,
            Kind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Timeout | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            // nginx's number for a client that went away; the constructor accepts every number from 100 to 999
            Kind::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl ApiError {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        ApiError { kind, text: text.into() }
    }

    pub(crate) fn bad_data(text: impl Into<String>) -> Self {
        ApiError::new(Kind::BadData, text)
    }

    /// `invalid parameter "time": …`
    pub(crate) fn parameter(name: &str, text: impl std::fmt::Display) -> Self {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {text}"))
    }

    /// Work of `what` ended because its flag was raised.
    pub(crate) fn cancelled(reason: Reason, what: &str) -> Self {
        match reason {
            Reason::Deadline => ApiError::new(Kind::Timeout, format!("query timed out in {what}")),
            Reason::Gone => ApiError::new(Kind::Canceled, format!("query was canceled in {what}")),
            Reason::Shutdown => ApiError::new(Kind::Unavailable, "the server is stopping"),
        }
    }

    /// A lookup in the store failed.
    pub(crate) fn select(error: &SelectError) -> Self {
        match error {
            SelectError::Cancelled(reason) => ApiError::cancelled(*reason, "query execution"),
            SelectError::Budget { .. } => ApiError::new(Kind::Execution, error.to_string()),
            SelectError::Corrupt(_) => ApiError::new(Kind::Internal, error.to_string()),
            SelectError::Unavailable(_) => ApiError::new(Kind::Unavailable, error.to_string()),
            _ => ApiError::new(Kind::Execution, error.to_string()),
        }
    }

    /// Parts of a query are echoed, and a query may have megabytes.
    fn shorten(&mut self) {
        if self.text.len() > TEXT_MAX {
            let end = self.text.floor_char_boundary(TEXT_MAX);
            let more = self.text.len() - end;
            self.text.truncate(end);
            self.text.push_str(&format!("… ({more} more bytes)"));
        }
    }

    pub(crate) fn into_response(mut self) -> Response<Body> {
        self.shorten();
        let mut body = Vec::with_capacity(self.text.len() + 64);
        body.extend_from_slice(b"{\"status\":\"error\",\"errorType\":\"");
        body.extend_from_slice(self.kind.name().as_bytes());
        body.extend_from_slice(b"\",\"error\":");
        crate::json::append_html_safe(&mut body, &self.text);
        body.push(b'}');
        json_response(self.kind.status(), Body::from(body))
    }
}

pub(crate) fn json_response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        for (text, end) in [("é".repeat(4096), "é"), ("é".repeat(5000), "é… (1808 more bytes)")] {
            let mut error = ApiError::bad_data(text);
            error.shorten();
            assert!(error.text.ends_with(end), "{}", error.text);
            assert!(error.text.len() <= TEXT_MAX + end.len());
        }
    }
}
