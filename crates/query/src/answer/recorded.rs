//! Every float answer recorded from Prometheus 3.14, read and written again: the bytes must be the same.
//!
//! The recordings are found through `ISOBAR_CONFORMANCE` (default `../shared/conformance` beside the repository).

#![expect(clippy::disallowed_methods, reason = "a test reads its recordings")]

use super::append_query_data;
use model::{Labels, Timestamp};
use net::chunks::Chunks;
use promql::{Answer, MatrixSeries, Stats, Value, VectorSample};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn at(json: &Json) -> Option<Timestamp> {
    Some(Timestamp((json.as_f64()? * 1000.0).round() as i64))
}

fn sample(json: &Json) -> Option<(Timestamp, f64)> {
    Some((at(&json[0])?, json[1].as_str()?.parse().ok()?))
}

fn labels(json: &Json) -> Option<Labels> {
    let pairs: BTreeMap<String, String> = serde_json::from_value(json.clone()).ok()?;
    Some(Labels::from_pairs(pairs))
}

/// The value behind a recorded answer; `None` when histograms are among it.
fn value(data: &Json) -> Option<Value> {
    let result = &data["result"];
    match data["resultType"].as_str()? {
        "scalar" => sample(result).map(|(at, value)| Value::Scalar { at, value }),
        "string" => Some(Value::String { at: at(&result[0])?, value: result[1].as_str()?.to_owned() }),
        "vector" => {
            let mut when = Timestamp(0);
            let mut samples = Vec::new();
            for member in result.as_array()? {
                let (at, value) = sample(&member["value"])?;
                when = at;
                samples.push(VectorSample { labels: labels(&member["metric"])?, value });
            }
            Some(Value::Vector { at: when, samples })
        }
        _ => {
            let series = |member: &Json| {
                let samples = member["values"].as_array()?.iter().map(sample).collect::<Option<Vec<_>>>()?;
                member.get("histograms").is_none().then_some(())?;
                Some(MatrixSeries { labels: labels(&member["metric"])?, samples })
            };
            Some(Value::Matrix(result.as_array()?.iter().map(series).collect::<Option<Vec<_>>>()?))
        }
    }
}

#[tokio::test]
async fn recorded_answers_are_written_with_the_same_bytes() {
    let root = std::env::var_os("ISOBAR_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let mut compared = 0;
    for file in ["day.jsonl", "openmetrics.jsonl", "new-language.jsonl"] {
        let Ok(text) = std::fs::read_to_string(root.join("prometheus/answers-3.14").join(file)) else {
            println!("SKIP recorded_answers_are_written_with_the_same_bytes: no recordings (ISOBAR_CONFORMANCE)");
            return;
        };
        for line in text.lines() {
            let recorded: Json = serde_json::from_str(line).expect("a recorded line");
            let Some(value) = value(&recorded["data"]) else { continue };
            let answer = Answer { value, warnings: Vec::new(), infos: Vec::new(), stats: Stats::default() };
            let mut chunks = Chunks::new();
            append_query_data(&mut chunks, &answer, None);
            let ours = axum::body::to_bytes(chunks.into_body(), usize::MAX).await.expect("in memory");
            let (_, theirs) = line.split_once("\"data\":").expect("answers have data");
            let ours = std::str::from_utf8(&ours).expect("JSON is text");
            assert!(theirs.starts_with(ours), "theirs {theirs}\nours   {ours}");
            compared += 1;
        }
    }
    println!("{compared} recorded answers written with the same bytes");
    assert!(compared > 500, "only {compared} recordings were usable");
}
