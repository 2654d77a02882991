//! Answers: the envelope, and the values of PromQL inside it.

use crate::error::json_response;
use crate::json::{append_html_safe, append_integer, append_labels, append_number, append_sample, append_strings};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use model::go_text::{FloatStyle, append_float};
use net::chunks::Chunks;
use promql::{Answer, Value};
use std::time::Duration;

/// `{"status":"success","data":…,"warnings":[…],"infos":[…]}`
pub(crate) fn success(
    chunks: &mut Chunks,
    warnings: &[String],
    infos: &[String],
    data: impl FnOnce(&mut Chunks),
) -> Response<Body> {
    chunks.tail().extend_from_slice(b"{\"status\":\"success\",\"data\":");
    data(chunks);
    for (name, texts) in [("warnings", warnings), ("infos", infos)] {
        if !texts.is_empty() {
            let out = chunks.tail();
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            append_strings(out, texts.iter().map(String::as_str));
        }
    }
    chunks.tail().push(b'}');
    json_response(StatusCode::OK, std::mem::take(chunks).into_body())
}

/// How long the parts of a query took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    pub(crate) queue: Duration,
    pub(crate) evaluate: Duration,
}

/// The value of a query, with `stats` when they were asked for.
pub(crate) fn append_query_data(chunks: &mut Chunks, answer: &Answer, stats: Option<Timings>) {
    chunks.tail().extend_from_slice(b"{\"resultType\":\"");
    chunks.tail().extend_from_slice(answer.value.type_name().as_bytes());
    chunks.tail().extend_from_slice(b"\",\"result\":");
    append_value(chunks, &answer.value);
    if let Some(timings) = stats {
        append_stats(chunks.tail(), answer, timings);
    }
    chunks.tail().push(b'}');
}

fn append_value(chunks: &mut Chunks, value: &Value) {
    match value {
        Value::Scalar { at, value } => {
            let out = chunks.tail();
            out.push(b'[');
            append_number(out, at.seconds());
            out.extend_from_slice(b",\"");
            append_float(out, *value, FloatStyle::Plain);
            out.extend_from_slice(b"\"]");
        }
        Value::String { at, value } => {
            let out = chunks.tail();
            out.push(b'[');
            append_number(out, at.seconds());
            out.push(b',');
            append_html_safe(out, value);
            out.push(b']');
        }
        Value::Vector { at, samples } => {
            for (n, sample) in samples.iter().enumerate() {
                let out = chunks.tail();
                out.extend_from_slice(if n == 0 { b"[{\"metric\":" } else { b",{\"metric\":" });
                append_labels(out, &sample.labels);
                out.extend_from_slice(b",\"value\":");
                append_sample(out, *at, sample.value);
                out.push(b'}');
            }
            chunks.tail().extend_from_slice(if samples.is_empty() { b"[]" } else { b"]" });
        }
        Value::Matrix(series) => {
            for (n, one) in series.iter().enumerate() {
                let out = chunks.tail();
                out.extend_from_slice(if n == 0 { b"[{\"metric\":" } else { b",{\"metric\":" });
                append_labels(out, &one.labels);
                out.extend_from_slice(b",\"values\":[");
                for (k, (at, value)) in one.samples.iter().enumerate() {
                    let out = chunks.tail();
                    if k > 0 {
                        out.push(b',');
                    }
                    append_sample(out, *at, *value);
                }
                chunks.tail().extend_from_slice(b"]}");
            }
            chunks.tail().extend_from_slice(if series.is_empty() { b"[]" } else { b"]" });
        }
    }
}

/// Times in seconds. What we do not measure apart (sorting, preparation) is inside the evaluation and says 0.
fn append_stats(out: &mut Vec<u8>, answer: &Answer, timings: Timings) {
    let evaluate = timings.evaluate.as_secs_f64();
    let queue = timings.queue.as_secs_f64();
    let times = [
        ("evalTotalTime", evaluate),
        ("resultSortTime", 0.0),
        ("queryPreparationTime", 0.0),
        ("innerEvalTime", evaluate),
        ("execQueueTime", queue),
        ("execTotalTime", queue + evaluate),
    ];
    for (n, (name, seconds)) in times.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b",\"stats\":{\"timings\":{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        append_number(out, seconds);
    }
    let samples = [
        ("totalQueryableSamples", answer.stats.total_queryable_samples),
        ("samplesRead", answer.stats.samples_read),
        ("peakSamples", answer.stats.peak_samples),
    ];
    for (n, (name, count)) in samples.into_iter().enumerate() {
        out.extend_from_slice(if n == 0 { b"},\"samples\":{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        append_integer(out, count);
    }
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Labels, Timestamp};
    use promql::{MatrixSeries, Stats, VectorSample};

    async fn text(value: Value, stats: Option<Timings>) -> String {
        let answer = Answer {
            value,
            warnings: Vec::new(),
            infos: Vec::new(),
            stats: Stats { total_queryable_samples: 20, samples_read: 11, peak_samples: 32 },
        };
        let mut chunks = Chunks::new();
        append_query_data(&mut chunks, &answer, stats);
        let bytes = axum::body::to_bytes(chunks.into_body(), usize::MAX).await.expect("in memory");
        String::from_utf8(bytes.to_vec()).expect("JSON is text")
    }

    #[tokio::test]
    async fn values_as_the_original_writes_them() {
        let at = Timestamp(1_795_264_199_270);
        let labels = Labels::from_pairs([("__name__", "up")]);
        let table = [
            (Value::Scalar { at, value: 1e-7 }, r#"{"resultType":"scalar","result":[1795264199.27,"0.0000001"]}"#),
            (
                Value::String { at, value: "<".to_owned() },
                r#"{"resultType":"string","result":[1795264199.27,"\u003c"]}"#,
            ),
            (Value::Vector { at, samples: Vec::new() }, r#"{"resultType":"vector","result":[]}"#),
            (
                Value::Vector { at, samples: vec![VectorSample { labels: labels.clone(), value: 1.5 }] },
                r#"{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1795264199.270,"1.5"]}]}"#,
            ),
            (
                Value::Matrix(vec![MatrixSeries {
                    labels,
                    samples: vec![(Timestamp(1000), 1.0), (Timestamp(1500), f64::INFINITY)],
                }]),
                r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up"},"values":[[1,"1"],[1.500,"+Inf"]]}]}"#,
            ),
        ];
        for (value, wanted) in table {
            assert_eq!(text(value, None).await, wanted);
        }
    }

    #[tokio::test]
    async fn stats_name_what_the_original_names() {
        let timings = Timings { queue: Duration::from_millis(1), evaluate: Duration::from_millis(500) };
        let written = text(Value::Matrix(Vec::new()), Some(timings)).await;
        assert_eq!(
            written,
            r#"{"resultType":"matrix","result":[],"stats":{"timings":{"evalTotalTime":0.5,"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0.5,"execQueueTime":0.001,"execTotalTime":0.501},"samples":{"totalQueryableSamples":20,"samplesRead":11,"peakSamples":32}}}"#
        );
    }
}
