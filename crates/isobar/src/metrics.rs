//! `/metrics` of a role: its instruments in text format 0.0.4.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use runtime::instrument::{Family, Registry, Value};
use wire::exposition::{TEXT_CONTENT_TYPE, encode};

/// The route.
pub(crate) fn routes(registry: Registry) -> Router {
    Router::new().route(
        "/metrics",
        get(move || {
            let text = text(&registry.gather());
            async move { ([(header::CONTENT_TYPE, TEXT_CONTENT_TYPE)], text).into_response() }
        }),
    )
}

fn text(families: &[Family]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 << 10);
    for family in families {
        encode::family(&mut out, &family.name, family.kind, &family.help);
        for series in &family.series {
            let name = family.name.as_str();
            match &series.value {
                Value::Number(number) => encode::sample(&mut out, name, &series.labels, *number),
                Value::Histogram { buckets, sum, count } => {
                    let bounds = buckets.iter().map(|(bound, n)| (model::go_text::format_float(*bound), *n));
                    for (bound, n) in bounds.chain([("+Inf".to_owned(), *count)]) {
                        let labels = series.labels.iter().chain([("le", bound.as_str())]);
                        encode::sample(&mut out, &format!("{name}_bucket"), labels, n as f64);
                    }
                    encode::sample(&mut out, &format!("{name}_sum"), &series.labels, *sum);
                    encode::sample(&mut out, &format!("{name}_count"), &series.labels, *count as f64);
                }
                Value::Summary { quantiles, sum, count } => {
                    for (quantile, value) in quantiles {
                        let quantile = model::go_text::format_float(*quantile);
                        let labels = series.labels.iter().chain([("quantile", quantile.as_str())]);
                        encode::sample(&mut out, name, labels, *value);
                    }
                    encode::sample(&mut out, &format!("{name}_sum"), &series.labels, *sum);
                    encode::sample(&mut out, &format!("{name}_count"), &series.labels, *count as f64);
                }
            }
        }
    }
    out
}
