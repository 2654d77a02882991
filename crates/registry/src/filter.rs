//! The filter language of `?filter=`: `Service.Port == 80 and "prod" in Service.Tags or not Node.Meta.rack is empty`.
//!
//! ```text
//! or      = and { "or" and }            and   = unary { "and" unary }          unary = "not" unary | "(" or ")" | match
//! match   = selector ( "==" | "!=" | "contains" | "not contains" | "matches" | "not matches" ) value
//!         | selector ( "is empty" | "is not empty" )
//!         | value ( "in" | "not in" ) selector
//! selector = name { "." name | "[" quoted "]" }        value = quoted | `raw` | bare word or number
//! ```
//!
//! A filter is compiled against the shape of what it filters ([`schema`]): an unknown selector, an operator that does
//! not fit its type, a value that is no number are refused before anything is evaluated, in the original's words.
//! A selector through a list of objects holds when any of them does; `not` around it turns the whole.
//!
//! Limits: [`FILTER_MAX`] bytes, [`DEPTH_MAX`] levels. Source: Consul's documentation of filtering; recording 04.

mod eval;
mod parse;
pub mod schema;

use schema::Schema;
use serde_json::Value;
use thiserror::Error;

/// Longest filter, in bytes.
pub const FILTER_MAX: usize = 8192;
/// Deepest nesting of parentheses and `not`.
pub const DEPTH_MAX: usize = 64;

/// A filter that can not be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("Failed to create boolean expression evaluator: {0}")]
pub struct FilterError(String);

/// A compiled filter.
#[derive(Debug)]
pub struct Filter(eval::Node);

impl Filter {
    /// Compiles a filter for things of a shape.
    pub fn compile(text: &str, schema: &Schema) -> Result<Self, FilterError> {
        if text.len() > FILTER_MAX {
            return Err(FilterError(format!("filter of {} bytes is above the limit of {FILTER_MAX}", text.len())));
        }
        let parsed = parse::parse(text).map_err(FilterError)?;
        eval::compile(parsed, schema).map(Filter).map_err(FilterError)
    }

    /// Whether a thing of that shape passes.
    pub fn holds(&self, thing: &Value) -> bool {
        self.0.holds(thing)
    }
}

#[cfg(test)]
mod tests;
