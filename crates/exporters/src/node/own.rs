//! Metrics of the exporter itself, and those that say how each collector fared.

use super::text::{Family, Page, escape_help, family, push_labels, push_number};
use model::MetricType;
use runtime::instrument::{self, Value};

const DURATION: Family =
    family!("node_scrape_collector_duration_seconds", "gauge", "node_exporter: Duration of a collector scrape.");
const SUCCESS: Family =
    family!("node_scrape_collector_success", "gauge", "node_exporter: Whether a collector succeeded.");
const BUILD: Family = family!(
    "node_exporter_build_info",
    "gauge",
    "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter was built, \
     and the goos and goarch for the build."
);

/// How one collector fared in a scrape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) success: bool,
}

pub(crate) fn show_outcomes(page: &mut Page<'_>, outcomes: &[Outcome]) {
    page.begin(&DURATION);
    for outcome in outcomes {
        page.sample(&[("collector", outcome.name)]).number(outcome.seconds);
    }
    page.begin(&SUCCESS);
    for outcome in outcomes {
        page.sample(&[("collector", outcome.name)]).integer(u64::from(outcome.success));
    }
}

pub(crate) fn show_build(page: &mut Page<'_>, version: &str) {
    page.begin(&BUILD);
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        arch => arch,
    };
    page.sample(&[
        ("branch", "isobar"),
        ("goarch", arch),
        ("goos", std::env::consts::OS),
        ("goversion", "none"),
        ("revision", version),
        ("tags", "unknown"),
        ("version", version),
    ])
    .integer(1);
}

/// Families of a registry.
pub(crate) fn show_families(out: &mut Vec<u8>, families: &[instrument::Family]) {
    for family in families {
        // this format's word for what is not known
        let kind = if family.kind == MetricType::Unknown { "untyped" } else { family.kind.as_str() };
        let head = format!("# HELP {0} {1}\n# TYPE {0} {2}\n", family.name, escape_help(&family.help), kind);
        out.extend_from_slice(head.as_bytes());
        for series in &family.series {
            let labels: Vec<(&str, &str)> = series.labels.iter().collect();
            let mut line = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
                out.extend_from_slice(family.name.as_bytes());
                out.extend_from_slice(suffix.as_bytes());
                let mut text = Vec::new();
                let extra = extra.map(|(name, bound)| {
                    push_number(&mut text, bound);
                    (name, std::str::from_utf8(&text).expect("a number is ASCII"))
                });
                push_labels(out, &labels.iter().copied().chain(extra).collect::<Vec<_>>());
                out.push(b' ');
                push_number(out, value);
                out.push(b'\n');
            };
            let (points, sum, count, name) = match &series.value {
                Value::Number(value) => {
                    line("", None, *value);
                    continue;
                }
                Value::Histogram { buckets, sum, count } => {
                    for (bound, value) in buckets {
                        line("_bucket", Some(("le", *bound)), *value as f64);
                    }
                    (Some((f64::INFINITY, *count as f64)), sum, count, ("_bucket", "le"))
                }
                Value::Summary { quantiles, sum, count } => {
                    for (quantile, value) in quantiles {
                        line("", Some(("quantile", *quantile)), *value);
                    }
                    (None, sum, count, ("", ""))
                }
            };
            if let Some((bound, value)) = points {
                line(name.0, Some((name.1, bound)), value);
            }
            line("_sum", None, *sum);
            line("_count", None, *count as f64);
        }
    }
}
