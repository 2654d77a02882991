//! Must show 3, third part: the calls of a Grafana's Prometheus data source, in its forms, answered as Prometheus 3.5.3 answers.
//!
//! Each call goes to both servers of `versus-3.5`; bodies must be equal but for the order of series. Where the
//! answer names the program itself (`buildinfo`), the rule Grafana decides by is asserted: a 3.x version, no `features`.

use super::Run;
use super::versus_prometheus::Pair;
use crate::harness::http::{Client, encode_form};
use crate::harness::machine::now_ms;
use anyhow::Result;
use serde_json::Value;
use std::time::Duration;

/// A call: method, path, parameters (in the body of a POST, else in the query).
type Call<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);

pub(super) fn run(run: &mut Run) -> Result<()> {
    let pair = Pair::start(run, Duration::from_secs(65))?;
    let end = now_ms() / 1000 - 3;
    let (start, end) = (((end - 40) / 15 * 15).to_string(), (end / 15 * 15).to_string());
    let calls = calls(&start, &end);
    let (mut ours, mut theirs) = (Client::new(pair.ours.port), Client::new(pair.theirs.port));
    let mut equal = 0;
    for call in &calls {
        let (a, b) = (send(&mut ours, call)?, send(&mut theirs, call)?);
        if a == b {
            equal += 1;
        } else {
            run.say(&format!("{} {} {:?}: {} {}\n      theirs {} {}", call.0, call.1, call.2, a.0, a.1, b.0, b.1));
        }
    }
    run.at_least(
        &format!("calls answered as Prometheus answers, of {}", calls.len()),
        f64::from(equal),
        "",
        calls.len() as f64,
    );
    let (status, info) = send(&mut ours, &("GET", "/api/v1/status/buildinfo", vec![]))?;
    let version = info["data"]["version"].as_str().unwrap_or_default().to_owned();
    let taken_for_prometheus = status == 200 && version.starts_with("3.") && info["data"].get("features").is_none();
    run.figure("buildinfo", format!("version {version}"), "3.x, no features", taken_for_prometheus);
    Ok(())
}

fn calls<'a>(start: &'a str, end: &'a str) -> Vec<Call<'a>> {
    let query_range =
        |query: &'a str, step: &'a str| vec![("query", query), ("start", start), ("end", end), ("step", step)];
    let within = || vec![("start", start), ("end", end)];
    let and = |more: &[(&'a str, &'a str)]| [within(), more.to_vec()].concat();
    let mut custom = query_range("sum by (even) (many_values)", "15");
    custom.extend([
        ("dedup", "true"),
        ("partial_response", "true"),
        ("max_source_resolution", "0s"),
        ("timeout", "30s"),
    ]);
    vec![
        ("POST", "/api/v1/query_range", query_range("constant_gauge", "15")),
        ("GET", "/api/v1/query_range", query_range("constant_gauge", "0.5")),
        ("POST", "/api/v1/query_range", custom),
        ("POST", "/api/v1/query_range", query_range("sum(", "15")),
        ("POST", "/api/v1/query_range", query_range("up", "0")),
        // its health check, in 1970
        ("POST", "/api/v1/query", vec![("query", "1+1"), ("time", "4")]),
        ("GET", "/api/v1/query", vec![("query", "1+1"), ("time", "4")]),
        ("POST", "/api/v1/query", vec![("query", "up"), ("time", end), ("timeout", "10s")]),
        ("POST", "/api/v1/query_exemplars", vec![("query", "constant_gauge"), ("start", start), ("end", end)]),
        ("GET", "/api/v1/query_exemplars", vec![("query", "constant_gauge"), ("start", start), ("end", end)]),
        ("POST", "/api/v1/labels", and(&[("limit", "40000")])),
        ("GET", "/api/v1/labels", and(&[("match[]", "constant_gauge")])),
        ("GET", "/api/v1/label/__name__/values", and(&[("limit", "40000")])),
        ("GET", "/api/v1/label/even/values", and(&[("match[]", "{__name__=\"many_values\"}")])),
        ("GET", "/api/v1/label/U__even/values", within()),
        ("GET", "/api/v1/label/nothing/values", within()),
        ("POST", "/api/v1/series", and(&[("match[]", "constant_gauge"), ("limit", "40000")])),
        ("GET", "/api/v1/series", and(&[("match[]", "{__name__!=\"\"}")])),
        ("POST", "/api/v1/series", within()),
        ("GET", "/api/v1/metadata", vec![]),
        ("GET", "/api/v1/metadata", vec![("metric", "constant_seconds")]),
        ("GET", "/api/v1/metadata", vec![("metric", "many_values"), ("limit_per_metric", "1")]),
        ("GET", "/api/v1/rules", vec![]),
        ("GET", "/api/v1/rules", vec![("type", "record"), ("exclude_alerts", "true")]),
        ("GET", "/api/v1/alerts", vec![]),
    ]
}

/// Status and body; headers as Grafana sends them.
fn send(client: &mut Client, (method, path, parameters): &Call<'_>) -> Result<(u16, Value)> {
    let form = encode_form(parameters);
    let mut headers =
        vec![("Accept-Encoding", "gzip"), ("X-Dashboard-Uid", "a1b2"), ("X-Panel-Id", "2"), ("X-Grafana-Org-Id", "1")];
    let answer = match (*method, form.is_empty()) {
        ("POST", _) => {
            headers.push(("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"));
            client.request(method, path, &headers, form.as_bytes())?
        }
        (_, true) => client.request(method, path, &headers, b"")?,
        (_, false) => client.request(method, &format!("{path}?{form}"), &headers, b"")?,
    };
    Ok((answer.status, in_order(answer.json()?)))
}

/// The answer with its series in order: the original gives instant vectors and series lists in the order of its index.
fn in_order(mut answer: Value) -> Value {
    let list = if answer["data"].is_array() { &mut answer["data"] } else { &mut answer["data"]["result"] };
    if let Some(list) = list.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    answer
}
