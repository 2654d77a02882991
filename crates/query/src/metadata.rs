//! `metadata`: what exporters say about their metrics.

use crate::answer::success;
use crate::api::{Answered, Api};
use crate::error::ApiError;
use crate::json::{append_html_safe, append_string};
use crate::params::atoi;
use axum::extract::State;
use model::Metadata;
use net::form::Params;
use std::collections::{BTreeMap, BTreeSet};

/// Who knows what the targets' metrics are: the scraper, or nobody.
pub trait MetadataSource: Send + Sync {
    /// Calls `each` with every metric's name and what one target says about it; only of `metric` when it is given.
    fn visit(&self, metric: Option<&str>, each: &mut dyn FnMut(&str, &Metadata));
}

pub(crate) async fn metadata(State(api): State<Api>, params: Params) -> Answered {
    let number = |name: &str| match params.get(name) {
        "" => Ok(-1),
        text => atoi(text).map_err(|_| ApiError::bad_data(format!("{name} must be a number"))),
    };
    let (limit, limit_per_metric) = (number("limit")?, number("limit_per_metric")?);
    let metric = Some(params.get("metric")).filter(|metric| !metric.is_empty());
    let mut families: BTreeMap<String, BTreeSet<(&'static str, String, String)>> = BTreeMap::new();
    api.metadata_source().visit(metric, &mut |name, said| {
        let set = families.entry(name.to_owned()).or_default();
        let full = usize::try_from(limit_per_metric).is_ok_and(|max| max > 0 && set.len() >= max);
        if !full {
            set.insert((said.kind.as_str(), said.unit.clone(), said.help.clone()));
        }
    });
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut chunks = net::chunks::Chunks::new();
    let mut first = true;
    Ok(success(&mut chunks, &[], &[], |chunks| {
        chunks.tail().push(b'{');
        for (name, said) in families.iter().take(shown) {
            let out = chunks.tail();
            out.extend_from_slice(if std::mem::take(&mut first) { b"" } else { b"," });
            append_string(out, name);
            out.extend_from_slice(b":[");
            for (at, (kind, unit, help)) in said.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"{\"type\":\"" } else { b",{\"type\":\"" });
                out.extend_from_slice(kind.as_bytes());
                out.extend_from_slice(b"\",\"unit\":");
                append_html_safe(out, unit);
                out.extend_from_slice(b",\"help\":");
                append_html_safe(out, help);
                out.push(b'}');
            }
            out.push(b']');
        }
        chunks.tail().push(b'}');
    }))
}
