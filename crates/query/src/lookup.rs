//! `series`, `labels`, `label/<name>/values`: what there is.
//!
//! Not admitted like queries (as in the original), but run on the same pool, within the same time and budget.

use crate::answer::success;
use crate::api::{Answered, Api};
use crate::error::ApiError;
use crate::json::{append_html_safe, append_labels};
use crate::params;
use axum::extract::{Path, State};
use model::{Labels, Matcher, TimeRange};
use net::chunks::Chunks;
use net::form::Params;
use std::collections::BTreeSet;
use storage::{LabelQuery, QueryContext, Select, SelectError, Selection, Warnings};

const TRUNCATED: &str = "results truncated due to limit";

pub(crate) async fn series(State(api): State<Api>, params: Params) -> Answered {
    let context = api.context();
    let (store, job_context) = (api.store().clone(), context.clone());
    // selectors may be long and their expressions costly to compile: parsed on the pool too
    let job = move || series_of(store.as_ref(), &params, &job_context);
    api.run(api.deadline(None), &context, job).await?
}

fn series_of(store: &dyn Select, params: &Params, context: &QueryContext) -> Answered {
    if let Some(error) = params.error() {
        return Err(ApiError::bad_data(format!("error parsing form values: {error}")));
    }
    if !params.has("match[]") {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params::limit(params)?;
    let range = params::range(params)?;
    let sets = params::matcher_sets(params).map_err(|e| ApiError::parameter("match[]", e))?;
    let found = find_series(store, sets, range, limit, context);
    let (found, warnings) = found.map_err(|e| ApiError::select(&e))?;
    Ok(list(found.iter(), limit, &warnings, append_labels))
}

fn find_series(
    store: &dyn Select,
    sets: Vec<Vec<Matcher>>,
    range: TimeRange,
    limit: usize,
    context: &QueryContext,
) -> Result<(BTreeSet<Labels>, Warnings), SelectError> {
    let (mut found, mut warnings) = (BTreeSet::new(), Warnings::default());
    for matchers in sets.into_iter().filter(|_| !range.is_empty()) {
        let mut selection = Selection::new(matchers, range);
        selection.hints.labels_only = true;
        let mut stream = store.select(&selection, context)?;
        let mut seen = 0;
        while let Some(batch) = stream.next()? {
            seen += batch.series.len();
            for series in batch.series {
                context.budget.take(series.labels.byte_len() as u64)?;
                found.insert(series.labels);
            }
            // in label order: what comes later cannot be among the first `limit`
            if limit > 0 && seen > limit {
                break;
            }
        }
        warnings.absorb(stream.take_warnings());
    }
    Ok((found, warnings))
}

pub(crate) async fn label_names(State(api): State<Api>, params: Params) -> Answered {
    label_lookup(api, params, None).await
}

pub(crate) async fn label_values(State(api): State<Api>, Path(name): Path<String>, params: Params) -> Answered {
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data("invalid label name: \"\""));
    }
    label_lookup(api, params, Some(name)).await
}

async fn label_lookup(api: Api, params: Params, name: Option<String>) -> Answered {
    let context = api.context();
    let (store, job_context) = (api.store().clone(), context.clone());
    let job = move || labels_of(store.as_ref(), name.as_deref(), &params, &job_context);
    api.run(api.deadline(None), &context, job).await?
}

fn labels_of(store: &dyn Select, name: Option<&str>, params: &Params, context: &QueryContext) -> Answered {
    let limit = params::limit(params)?;
    let range = params::range(params)?;
    let mut sets = params::matcher_sets(params).map_err(ApiError::bad_data)?;
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let found = find_labels(store, name, sets, range, limit, context);
    let (found, warnings) = found.map_err(|e| ApiError::select(&e))?;
    Ok(list(found.iter(), limit, &warnings, |out, text| append_html_safe(out, text)))
}

fn find_labels(
    store: &dyn Select,
    name: Option<&str>,
    sets: Vec<Vec<Matcher>>,
    range: TimeRange,
    limit: usize,
    context: &QueryContext,
) -> Result<(BTreeSet<String>, Warnings), SelectError> {
    let (mut found, mut warnings) = (BTreeSet::new(), Warnings::default());
    for matchers in sets.into_iter().filter(|_| !range.is_empty()) {
        // one more than wanted shows that there are more
        let limit = if limit == 0 { 0 } else { limit.saturating_add(1) };
        let query = LabelQuery { matchers, limit, ..LabelQuery::new(range) };
        let (some, said) = match name {
            Some(name) => store.label_values(name, &query, context)?,
            None => store.label_names(&query, context)?,
        };
        if found.is_empty() {
            found = some;
        } else {
            found.extend(some);
        }
        warnings.absorb(said);
    }
    Ok((found, warnings))
}

/// A list as an answer, cut at `limit` (0: not).
fn list<T>(
    items: impl ExactSizeIterator<Item = T>,
    limit: usize,
    warnings: &Warnings,
    append: impl Fn(&mut Vec<u8>, T),
) -> axum::http::Response<axum::body::Body> {
    let cut = limit > 0 && items.len() > limit;
    let shown = if cut { limit } else { items.len() };
    let mut warnings: Vec<String> = warnings.iter().map(str::to_owned).collect();
    if cut {
        warnings.push(TRUNCATED.to_owned());
    }
    let mut chunks = Chunks::new();
    success(&mut chunks, &warnings, &[], |chunks| {
        chunks.tail().push(b'[');
        for (at, item) in items.take(shown).enumerate() {
            let out = chunks.tail();
            if at > 0 {
                out.push(b',');
            }
            append(out, item);
        }
        chunks.tail().push(b']');
    })
}

/// A label name as it stands in a path: `U__` begins one in which `__` is `_` and `_2d_` is the character 2d.
/// What is not well formed is the name itself.
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut plain = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(end) = rest.find('_') else { return name.to_owned() };
        let code = &rest[..end];
        if code.is_empty() {
            plain.push('_');
        } else {
            // at most six digits, as in the original
            let hex = code.len() <= 6 && code.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            let character = u32::from_str_radix(code, 16).ok().and_then(char::from_u32).filter(|_| hex);
            let Some(character) = character else { return name.to_owned() };
            plain.push(character);
        }
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read_and_broken_ones_left() {
        let table = [
            ("job", "job"),
            ("U__job", "job"),
            ("U__a_2d_b", "a-b"),
            ("U__a__b", "a_b"),
            ("U__http_2e_status_3a_sum", "http.status:sum"),
            ("U___e9_t_e9_", "été"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2d", "U__open_2d"),
            ("U__surrogate_d800_", "U__surrogate_d800_"),
            ("U__upper_2D_", "U__upper_2D_"),
            ("U__", ""),
        ];
        for (escaped, plain) in table {
            assert_eq!(unescape_name(escaped), plain, "{escaped}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_read_without_panic(name: String) {
            unescape_name(&format!("U__{name}"));
        }
    }
}
