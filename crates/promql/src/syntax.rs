//! The language: text in, tree out, and back.
//!
//! ```text
//! text ─lexer─► tokens ─parser─► tree ─check─► typed tree ─printer─► text
//!                         └─ series_description: `metric{a="b"} 1 2+3x4`, the test language's rows
//! ```
//!
//! Error texts and positions are Prometheus' own (3.14), because clients and tests match on them. Only the first error of
//! a text is reported, as there.
//! Limits: [`DEPTH_MAX`] levels of nesting; the length of a query is limited by whoever reads it from outside.
//! Source: the language as Prometheus 3.14 accepts it (grammar and error texts studied in its parser).

pub mod ast;
mod check;
mod duration_value;
pub mod error;
pub mod function_table;
mod lexer;
mod number;
mod parser;
mod pretty;
mod printer;
pub mod series_description;
mod token;

pub(crate) use number::{is_label_name, parse_float};

pub use ast::Expr;
pub use error::{ParseError, Span};
pub use series_description::{SequenceValue, SeriesDescription};

use model::Matcher;

/// Levels of nesting a query may have: what a 2 MB stack evaluates with room to spare.
pub const DEPTH_MAX: usize = 500;

/// Which parts of the language that upstream keeps behind a switch are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `promql-experimental-functions`: the functions and aggregations marked experimental.
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

impl Switches {
    /// Everything on.
    pub const ALL: Switches =
        Switches { experimental_functions: true, extended_range_selectors: true, fill_modifiers: true };
}

/// Parses and checks an expression.
///
/// # Errors
/// The first thing wrong with the text, with its place.
pub fn parse(query: &str, switches: Switches) -> Result<Expr, ParseError> {
    parser::Parser::new(query, switches).expression()
}

/// Parses a selector as the metadata endpoints take it (`match[]`): `metric{a="b"}` without modifiers.
///
/// # Errors
/// The first thing wrong with the text, with its place.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    parser::Parser::new(text, Switches::default()).metric_selector()
}
