//! `format_query` and `parse_query`: the language without data.

use crate::answer::success;
use crate::api::{Answered, Api};
use crate::error::ApiError;
use crate::json::append_html_safe;
use crate::tree_json::append_tree;
use axum::extract::State;
use net::chunks::Chunks;
use net::form::Params;
use promql::Expr;

pub(crate) async fn format_query(State(api): State<Api>, params: Params) -> Answered {
    answer(api, params, |out, expr| append_html_safe(out, &expr.pretty())).await
}

pub(crate) async fn parse_query(State(api): State<Api>, params: Params) -> Answered {
    answer(api, params, append_tree).await
}

/// Parses on the pool: a form holds up to 10 MB of query.
async fn answer(api: Api, params: Params, append: fn(&mut Vec<u8>, &Expr)) -> Answered {
    let context = api.context();
    let engine = *api.engine();
    let job = move || -> Answered {
        let expr = engine.parse(params.get("query")).map_err(|e| ApiError::parameter("query", e))?;
        Ok(success(&mut Chunks::new(), &[], &[], |chunks| append(chunks.tail(), &expr)))
    };
    api.run(api.deadline(None), &context, job).await?
}
