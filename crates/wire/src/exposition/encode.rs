//! Writes text 0.0.4, for exporters and for our own `/metrics`.
//!
//! ```text
//! family("http_requests_total", Counter, "Requests.")   # HELP http_requests_total Requests.
//!                                                       # TYPE http_requests_total counter
//! sample("http_requests_total", pairs, 1027)            http_requests_total{code="200"} 1027
//! ```
//!
//! The caller owns the buffer and keeps it between scrapes: nothing here allocates but its growth. Names that older
//! readers do not know (`my.name`) are written in quotes: `{"my.name",a="b"} 1`.
//! Numbers are written as the originals' exporters write them (`1e+06`).

use model::MetricType;
use model::go_text::{FloatStyle, append_float};
use model::labels::{is_legacy_label_name, is_legacy_metric_name};

/// Begins a family: its HELP line (none without a help text) and its TYPE line.
pub fn family(into: &mut Vec<u8>, name: &str, kind: MetricType, help: &str) {
    if !help.is_empty() {
        into.extend_from_slice(b"# HELP ");
        append_family_name(into, name);
        into.push(b' ');
        append_escaped(into, help, false);
        into.push(b'\n');
    }
    into.extend_from_slice(b"# TYPE ");
    append_family_name(into, name);
    into.push(b' ');
    // text 0.0.4 knows five types; the others are said by OpenMetrics alone
    let word = match kind {
        MetricType::Counter | MetricType::Gauge | MetricType::Histogram | MetricType::Summary => kind.as_str(),
        MetricType::Info | MetricType::StateSet => "gauge",
        MetricType::GaugeHistogram => "histogram",
        MetricType::Unknown => "untyped",
    };
    into.extend_from_slice(word.as_bytes());
    into.push(b'\n');
}

/// Writes one sample line.
pub fn sample<'a>(into: &mut Vec<u8>, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: f64) {
    series(into, name, labels);
    into.push(b' ');
    append_float(into, value, FloatStyle::General);
    into.push(b'\n');
}

/// Writes one sample line with its own time, in milliseconds since the epoch.
pub fn sample_at<'a>(
    into: &mut Vec<u8>,
    name: &str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    value: f64,
    at: i64,
) {
    sample(into, name, labels, value);
    into.pop();
    into.push(b' ');
    append_integer(into, at);
    into.push(b'\n');
}

/// Writes the series part of a line. Exporters with constant series keep it and write only values.
pub fn series<'a>(into: &mut Vec<u8>, name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let plain_name = is_legacy_metric_name(name);
    let mut open = false;
    if plain_name {
        into.extend_from_slice(name.as_bytes());
    } else {
        into.push(b'{');
        append_quoted(into, name);
        open = true;
    }
    for (label, value) in labels {
        into.push(if open { b',' } else { b'{' });
        open = true;
        if is_legacy_label_name(label) {
            into.extend_from_slice(label.as_bytes());
        } else {
            append_quoted(into, label);
        }
        into.push(b'=');
        append_quoted(into, value);
    }
    if open {
        into.push(b'}');
    }
}

fn append_integer(into: &mut Vec<u8>, number: i64) {
    if number < 0 {
        into.push(b'-');
    }
    // below 2^53 a float prints an integer's own digits; above, digit by digit
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut left = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

fn append_family_name(into: &mut Vec<u8>, name: &str) {
    if is_legacy_metric_name(name) {
        into.extend_from_slice(name.as_bytes());
    } else {
        append_quoted(into, name);
    }
}

fn append_quoted(into: &mut Vec<u8>, text: &str) {
    into.push(b'"');
    append_escaped(into, text, true);
    into.push(b'"');
}

fn append_escaped(into: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => into.extend_from_slice(b"\\\\"),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'"' if quotes => into.extend_from_slice(b"\\\""),
            _ => into.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::text::{Entry, TextParser, read_labels, unescape_help};
    use model::{Labels, LabelsBuilder};
    use proptest::prelude::*;

    #[test]
    fn lines_look_as_they_should() {
        let mut body = Vec::new();
        family(&mut body, "http_requests_total", MetricType::Counter, "A \"b\"\nc \\d.");
        sample(&mut body, "http_requests_total", [("code", "200"), ("path", "a\"b\\c\nd")], 1_027_000.0);
        sample_at(&mut body, "up", [], 1.0, -12);
        family(&mut body, "my.name", MetricType::Info, "");
        sample(&mut body, "my.name", [("a", "b"), ("c.d", "e")], f64::INFINITY);
        let text = String::from_utf8(body).expect("text");
        let expected = r#"# HELP http_requests_total A "b"\nc \\d.
# TYPE http_requests_total counter
http_requests_total{code="200",path="a\"b\\c\nd"} 1.027e+06
up 1 -12
# TYPE "my.name" gauge
{"my.name",a="b","c.d"="e"} +Inf
"#;
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[a-z:.ä]{1,6}", help in "[ -~\n\\\\]{1,12}", pairs in proptest::collection::btree_map("[a-z.\"\\\\]{1,4}", "[a-z\n\"\\\\]{1,6}", 0..4),
            bits: u64,
        ) {
            prop_assume!(!pairs.contains_key(model::labels::METRIC_NAME));
            let mut body = Vec::new();
            family(&mut body, &name, MetricType::Gauge, &help);
            sample(&mut body, &name, pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())), f64::from_bits(bits));
            let entries: Vec<_> = TextParser::new(&body).collect::<Result<_, _>>().expect("our own text");
            let [Entry::Help { text, .. }, Entry::Type { .. }, Entry::Series { series, value, at: None }] = &entries[..] else {
                panic!("{entries:?}");
            };
            prop_assert_eq!(unescape_help(text), help);
            prop_assert!(value.to_bits() == bits || value.is_nan() && f64::from_bits(bits).is_nan());
            let mut labels = LabelsBuilder::new();
            read_labels(series, MetricType::Gauge, &mut labels).expect("our own labels");
            let expected = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain([("__name__", name.as_str())]);
            prop_assert_eq!(labels.build(), Labels::from_pairs(expected));
        }
    }
}
