//! `query_exemplars`: exemplars of the series that a query selects. A store without exemplars answers none.

use crate::answer::success;
use crate::api::{Answered, Api};
use crate::error::ApiError;
use crate::json::{append_labels, append_number};
use crate::params;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::go_text::{FloatStyle, append_float};
use model::{Exemplar, Labels, Matcher, TimeRange, Timestamp};
use net::chunks::Chunks;
use net::form::Params;
use promql::Expr;
use storage::{Ability, ExemplarQuery, QueryContext, SelectError};

pub(crate) async fn exemplars(State(api): State<Api>, params: Params) -> Answered {
    let context = api.context();
    let (job_api, job_context) = (api.clone(), context.clone());
    let job = move || exemplars_of(&job_api, &params, &job_context);
    api.run(api.deadline(None), &context, job).await?
}

fn exemplars_of(api: &Api, params: &Params, context: &QueryContext) -> Answered {
    let start = params::time_or(params, "start", Timestamp::MIN)?;
    let end = params::time_or(params, "end", Timestamp::MAX)?;
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let expr = api.engine().parse(params.get("query")).map_err(|e| ApiError::bad_data(e.to_string()))?;
    let mut sets = Vec::new();
    selectors(&expr, &mut sets);
    if sets.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let query = ExemplarQuery::new(sets, TimeRange::closed(start, end));
    let (found, warnings) = match api.store().exemplars(&query, context) {
        Err(SelectError::Unsupported(Ability::SelectExemplars)) => Default::default(),
        found => found.map_err(|e| ApiError::select(&e))?,
    };
    let warnings: Vec<String> = warnings.iter().map(str::to_owned).collect();
    Ok(success(&mut Chunks::new(), &warnings, &[], |chunks| append_series(chunks, &found)))
}

/// The matchers of every selector in `expr`.
fn selectors(expr: &Expr, into: &mut Vec<Vec<Matcher>>) {
    match expr {
        Expr::Vector(selector) => into.push(selector.matchers.clone()),
        Expr::Matrix(selector) => into.push(selector.vector.matchers.clone()),
        Expr::Aggregate(node) => {
            node.param.iter().for_each(|param| selectors(param, into));
            selectors(&node.expr, into);
        }
        Expr::Binary(node) => {
            selectors(&node.lhs, into);
            selectors(&node.rhs, into);
        }
        Expr::Call(node) => node.args.iter().for_each(|arg| selectors(arg, into)),
        Expr::Paren(node) => selectors(&node.expr, into),
        Expr::Unary(node) => selectors(&node.expr, into),
        Expr::Subquery(node) => selectors(&node.expr, into),
        Expr::Number(_) | Expr::String(_) => {}
    }
}

fn append_series(chunks: &mut Chunks, found: &[(Labels, Vec<Exemplar>)]) {
    chunks.tail().push(b'[');
    for (n, (labels, exemplars)) in found.iter().enumerate() {
        let out = chunks.tail();
        out.extend_from_slice(if n == 0 { b"{\"seriesLabels\":" } else { b",{\"seriesLabels\":" });
        append_labels(out, labels);
        out.extend_from_slice(b",\"exemplars\":[");
        for (k, exemplar) in exemplars.iter().enumerate() {
            out.extend_from_slice(if k == 0 { b"{\"labels\":" } else { b",{\"labels\":" });
            append_labels(out, &exemplar.labels);
            out.extend_from_slice(b",\"value\":\"");
            append_float(out, exemplar.value, FloatStyle::Json);
            out.extend_from_slice(b"\",\"timestamp\":");
            append_number(out, exemplar.at.seconds());
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
    chunks.tail().push(b']');
}
