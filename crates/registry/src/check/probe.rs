//! One run of a check: ask, and judge the answer.

use super::definition::{Definition, HttpProbe, Probe};
use super::grpc;
use super::outcome::{Outcome, cut};
use crate::catalog::Status;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use net::client::{Client, ClientError, KeepAlive, Request};
use runtime::clock::Instant;
use url::Url;

/// Bytes of an answer that are read at most; an answer beyond is judged by its status and shown without body.
const BODY_MAX: u64 = 1 << 20;

/// Runs a check once. Never takes longer than its timeout.
pub(super) async fn run(client: &Client, definition: &Definition) -> Outcome {
    let deadline = client.clock().instant() + definition.timeout;
    let outcome = match &definition.probe {
        Probe::Http(probe) => http(client, probe, deadline).await,
        Probe::Tcp(target) => tcp(client, target, deadline).await,
        Probe::Grpc { target, service } => grpc::ask(client.clock(), target, service, deadline).await,
        // these are not run
        Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance => critical(String::new()),
    };
    Outcome { output: cut(outcome.output, definition.output_max_size), ..outcome }
}

pub(super) fn critical(output: String) -> Outcome {
    Outcome { status: Status::Critical, output }
}

async fn http(client: &Client, probe: &HttpProbe, deadline: Instant) -> Outcome {
    let request = match http_request(probe) {
        Ok(request) => request,
        Err(what) => return critical(what),
    };
    let mut keep = KeepAlive::new();
    let mut body = Vec::new();
    let asked = async {
        let response = client.send(&request, &mut keep, deadline).await?;
        let status = response.status();
        match response.read_into(&mut body, BODY_MAX).await {
            Ok(()) => Ok(status),
            Err(ClientError::BodyLimit(_)) => {
                body = format!("(more than {BODY_MAX} bytes)").into_bytes();
                Ok(status)
            }
            Err(error) => Err(error),
        }
    };
    match asked.await {
        Err(error) => critical(error.to_string()),
        // a redirect that was to be followed says nowhere to go: Consul's own client takes that for an error
        Ok(status @ (StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER))
            if probe.follow_redirects =>
        {
            critical(missing_location(probe, status.as_u16()))
        }
        Ok(status) => {
            let word = status.canonical_reason().unwrap_or_default();
            let (method, url) = (&probe.method, &probe.url);
            let body = String::from_utf8_lossy(&body);
            let output = format!("HTTP {method} {url}: {} {word} Output: {body}", status.as_u16());
            Outcome { status: judge(status), output }
        }
    }
}

fn missing_location(probe: &HttpProbe, status: u16) -> String {
    let first: String = probe.method.chars().take(1).collect();
    let rest: String = probe.method.chars().skip(1).collect();
    let (method, url) = (format!("{first}{}", rest.to_ascii_lowercase()), model::go_text::quote(&probe.url));
    format!("{method} {url}: {status} response missing Location header")
}

/// 2xx is passing, 429 warning, everything else critical.
fn judge(status: StatusCode) -> Status {
    match status {
        status if status.is_success() => Status::Passing,
        StatusCode::TOO_MANY_REQUESTS => Status::Warning,
        _ => Status::Critical,
    }
}

fn http_request(probe: &HttpProbe) -> Result<Request, String> {
    let url = Url::parse(&probe.url).map_err(|e| format!("parse {:?}: {e}", probe.url))?;
    let method = Method::from_bytes(probe.method.as_bytes())
        .map_err(|_| format!("net/http: invalid method {:?}", probe.method))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Consul Health Check"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/plain, text/*, */*"));
    for (name, values) in &probe.header {
        let name = HeaderName::try_from(name).map_err(|_| format!("invalid header name {name:?}"))?;
        headers.remove(&name);
        for value in values {
            let value = HeaderValue::try_from(value).map_err(|_| format!("invalid value of header {name}"))?;
            headers.append(&name, value);
        }
    }
    let body = Bytes::from(probe.body.clone());
    Ok(Request { method, url, headers, body, follow_redirects: probe.follow_redirects })
}

async fn tcp(client: &Client, target: &str, deadline: Instant) -> Outcome {
    match client.clock().deadline(deadline, net::dial::tcp(target)).await {
        Ok(Ok(_)) => Outcome { status: Status::Passing, output: format!("TCP connect {target}: Success") },
        Ok(Err(cause)) => critical(cause.to_string()),
        Err(_) => critical(format!("dial tcp {target}: i/o timeout")),
    }
}
