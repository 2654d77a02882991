//! Prometheus' query API as a client sees it, and comparing what two servers answer.

use crate::harness::http::{Client, encode_form};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;

/// A client of one server.
#[derive(Debug)]
pub struct Api {
    client: Client,
}

/// A series of an answer: its labels as JSON text (the keys are sorted), and its samples as (milliseconds, text of the value).
pub type Rows = BTreeMap<String, Vec<(i64, String)>>;

impl Api {
    /// A client of the server on `port`.
    pub fn new(port: u16) -> Self {
        Api { client: Client::new(port) }
    }

    /// `data` of a GET with these parameters.
    ///
    /// # Errors
    /// When the answer is no success; its error is named.
    pub fn get(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let question = if parameters.is_empty() { "" } else { "?" };
        let answer = self.client.get(&format!("{path}{question}{}", encode_form(parameters)))?;
        data(answer.json()?).with_context(|| format!("{path} {parameters:?}"))
    }

    /// An instant query at `time` (seconds, any text the API takes; empty: now).
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn query(&mut self, query: &str, time: &str) -> Result<Value> {
        let mut form = vec![("query", query)];
        if !time.is_empty() {
            form.push(("time", time));
        }
        data(self.client.post_form("/api/v1/query", &form)?.json()?).with_context(|| format!("query {query}"))
    }

    /// A range query.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn query_range(&mut self, query: &str, start: &str, end: &str, step: &str) -> Result<Value> {
        let form = [("query", query), ("start", start), ("end", end), ("step", step)];
        data(self.client.post_form("/api/v1/query_range", &form)?.json()?)
            .with_context(|| format!("query_range {query}"))
    }

    /// The rows of an instant query.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn rows(&mut self, query: &str, time: &str) -> Result<Rows> {
        rows(&self.query(query, time)?)
    }

    /// Number of series an instant query gives now.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn count(&mut self, query: &str) -> Result<usize> {
        Ok(self.rows(query, "")?.len())
    }

    /// The first value an instant query gives now.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn value(&mut self, query: &str) -> Result<Option<f64>> {
        let rows = self.rows(query, "")?;
        Ok(rows.values().next().and_then(|samples| samples.last()).and_then(|(_, value)| parse(value)))
    }

    /// Active targets.
    ///
    /// # Errors
    /// When the answer is no success.
    pub fn targets(&mut self) -> Result<Vec<Value>> {
        let data = self.get("/api/v1/targets", &[("state", "active")])?;
        Ok(data["activeTargets"].as_array().cloned().unwrap_or_default())
    }

    /// The metrics of the server itself: the first sample of `name`.
    ///
    /// # Errors
    /// When there is no such line.
    pub fn own_metric(&mut self, name: &str) -> Result<f64> {
        let text = self.client.get("/metrics")?.text();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let line = line.with_context(|| format!("no {name} in /metrics"))?;
        line.rsplit(' ').next().and_then(parse).with_context(|| format!("{line:?} has no value"))
    }

    /// The client below.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// A number as the API writes it.
pub fn parse(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

fn data(mut answer: Value) -> Result<Value> {
    if answer["status"] != "success" {
        bail!("{}: {}", answer["errorType"].as_str().unwrap_or("?"), answer["error"].as_str().unwrap_or("?"));
    }
    Ok(answer["data"].take())
}

/// `data` of a query as rows.
///
/// # Errors
/// When it has an unknown form.
pub fn rows(data: &Value) -> Result<Rows> {
    let result = &data["result"];
    let sample = |pair: &Value| -> Result<(i64, String)> {
        let at = pair[0].as_f64().context("a sample without time")?;
        Ok(((at * 1000.0).round() as i64, pair[1].as_str().context("a sample without value")?.to_owned()))
    };
    let mut rows = Rows::new();
    match data["resultType"].as_str() {
        Some("scalar" | "string") => {
            rows.insert("{}".to_owned(), vec![sample(result)?]);
        }
        Some("vector") => {
            for series in result.as_array().into_iter().flatten() {
                rows.insert(series["metric"].to_string(), vec![sample(&series["value"])?]);
            }
        }
        Some("matrix") => {
            for series in result.as_array().into_iter().flatten() {
                let samples = series["values"].as_array().into_iter().flatten().map(sample).collect::<Result<_>>()?;
                rows.insert(series["metric"].to_string(), samples);
            }
        }
        other => bail!("unknown result type {other:?}"),
    }
    Ok(rows)
}

/// The first difference between two answers; values may differ by `tolerance` (relative), times not at all.
pub fn difference(ours: &Rows, theirs: &Rows, tolerance: f64) -> Option<String> {
    if let Some(only) = ours.keys().find(|key| !theirs.contains_key(*key)) {
        return Some(format!("only ours has {only} ({} and {} series)", ours.len(), theirs.len()));
    }
    for (labels, expected) in theirs {
        let Some(found) = ours.get(labels) else {
            return Some(format!("only theirs has {labels} ({} and {} series)", ours.len(), theirs.len()));
        };
        if found.len() != expected.len() {
            return Some(format!("{labels}: {} samples, theirs {}", found.len(), expected.len()));
        }
        for (a, b) in found.iter().zip(expected) {
            let equal = a.1 == b.1
                || match (parse(&a.1), parse(&b.1)) {
                    (Some(x), Some(y)) => (x - y).abs() <= tolerance * x.abs().max(y.abs()),
                    _ => false,
                };
            if a.0 != b.0 || !equal {
                return Some(format!("{labels}: {} @{}, theirs {} @{}", a.1, a.0, b.1, b.0));
            }
        }
    }
    None
}
