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
    let text = parsed(&api, &params)?.pretty();
    Ok(success(&mut Chunks::new(), &[], &[], |chunks| append_html_safe(chunks.tail(), &text)))
}

pub(crate) async fn parse_query(State(api): State<Api>, params: Params) -> Answered {
    let expr = parsed(&api, &params)?;
    Ok(success(&mut Chunks::new(), &[], &[], |chunks| append_tree(chunks.tail(), &expr)))
}

fn parsed(api: &Api, params: &Params) -> Result<Expr, ApiError> {
    api.engine().parse(params.get("query")).map_err(|e| ApiError::parameter("query", e))
}
