//! A tree back to text: Prometheus' own form, character for character.

use super::ast::*;
use model::duration::format_duration;
use model::go_text::{format_float, format_float_general, quote};
use model::labels::{METRIC_NAME, is_legacy_label_name};
use model::{MatchOp, Millis};
use std::fmt;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Aggregate(e) => {
                write!(f, "{}(", aggregate_head(e))?;
                if let Some(param) = &e.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", e.expr)
            }
            Expr::Binary(e) => write!(f, "{} {} {}", e.lhs, binary_head(e), e.rhs),
            Expr::Call(e) => {
                write!(f, "{}(", e.function.name)?;
                for (at, arg) in e.args.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{arg}")?;
                }
                f.write_str(")")
            }
            Expr::Matrix(e) => {
                f.write_str(&selector_head(&e.vector))?;
                write!(f, "[{}]{}{}{}", e.range, edges(&e.vector), at(e.vector.at), offset(&e.vector.offset))
            }
            Expr::Number(e) => write!(f, "{e}"),
            Expr::Paren(e) => write!(f, "({})", e.expr),
            Expr::String(e) => f.write_str(&quote(&e.value)),
            Expr::Subquery(e) => write!(f, "{}{}", e.expr, subquery_tail(e)),
            Expr::Unary(e) => write!(f, "{}{}", if e.negative { "-" } else { "+" }, e.expr),
            Expr::Vector(e) => {
                f.write_str(&selector_head(e))?;
                write!(f, "{}{}{}", at(e.at), edges(e), offset(&e.offset))
            }
        }
    }
}

impl fmt::Display for NumberLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.duration {
            return f.write_str(&format_float(self.value));
        }
        let sign = if self.value < 0.0 { "-" } else { "" };
        let millis = (self.value.abs() * 1e9) as i64 / 1_000_000;
        write!(f, "{sign}{}", format_duration(Millis(millis)))
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Fixed(length) => f.write_str(&format_duration(*length)),
            Length::Computed(expr) => write!(f, "{expr}"),
        }
    }
}

impl fmt::Display for DurationTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DurationTerm::Number(number) => write!(f, "{number}"),
            DurationTerm::Expr(expr) => write!(f, "{expr}"),
        }
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_str("(")?;
        }
        match (self.op, &self.lhs, &self.rhs) {
            (DurationOp::Step | DurationOp::Range, ..) => write!(f, "{}()", self.op.as_str())?,
            (DurationOp::MinOf | DurationOp::MaxOf, Some(lhs), Some(rhs)) => {
                write!(f, "{}({lhs}, {rhs})", self.op.as_str())?;
            }
            (op, Some(lhs), Some(rhs)) => write!(f, "{lhs} {} {rhs}", op.as_str())?,
            (DurationOp::Sub, None, Some(rhs)) => write!(f, "-{rhs}")?,
            (_, None, Some(rhs)) => write!(f, "{rhs}")?,
            (_, _, None) => {}
        }
        if self.wrapped {
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// `sum by (a) `
pub(super) fn aggregate_head(e: &Aggregate) -> String {
    let op = e.op.as_str();
    if e.without {
        format!("{op} without ({}) ", labels(&e.grouping))
    } else if e.grouping.is_empty() {
        op.to_owned()
    } else {
        format!("{op} by ({}) ", labels(&e.grouping))
    }
}

/// `== bool on (a) group_left ()`
pub(super) fn binary_head(e: &Binary) -> String {
    let mut text = e.op.as_str().to_owned();
    if e.return_bool {
        text.push_str(" bool");
    }
    let Some(matching) = &e.matching else { return text };
    let grouped = match matching.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        _ => None,
    };
    if !matching.labels.is_empty() || matching.on || grouped.is_some() {
        let word = if matching.on { "on" } else { "ignoring" };
        text.push_str(&format!(" {word} ({})", labels(&matching.labels)));
    }
    if let Some(side) = grouped {
        text.push_str(&format!(" group_{side} ({})", labels(&matching.include)));
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => {
            text.push_str(&format!(" fill ({})", format_float_general(left)));
        }
        (left, right) => {
            if let Some(left) = left {
                text.push_str(&format!(" fill_left ({})", format_float_general(left)));
            }
            if let Some(right) = right {
                text.push_str(&format!(" fill_right ({})", format_float_general(right)));
            }
        }
    }
    text
}

/// `[1h:5m] @ 10.000 offset 1m`
pub(super) fn subquery_tail(e: &Subquery) -> String {
    let step = match &e.step {
        None | Some(Length::Fixed(Millis(0))) => String::new(),
        Some(step) => step.to_string(),
    };
    format!("[{}:{step}]{}{}", e.range, at(e.at), offset(&e.offset))
}

fn labels(names: &[String]) -> String {
    let shown: Vec<String> =
        names.iter().map(|name| if is_legacy_label_name(name) { name.clone() } else { quote(name) }).collect();
    shown.join(", ")
}

/// Name and braces, without modifiers.
fn selector_head(e: &VectorSelector) -> String {
    let named = |m: &&model::Matcher| {
        !(&*m.name == METRIC_NAME && m.op == MatchOp::Equal && *m.value == *e.name && !m.value.is_empty())
    };
    let mut shown: Vec<String> = e.matchers.iter().filter(named).map(ToString::to_string).collect();
    shown.sort();
    if shown.is_empty() { e.name.clone() } else { format!("{}{{{}}}", e.name, shown.join(",")) }
}

fn edges(e: &VectorSelector) -> &'static str {
    match e.edges {
        Edges::Plain => "",
        Edges::Anchored => " anchored",
        Edges::Smoothed => " smoothed",
    }
}

fn at(at: Option<At>) -> String {
    match at {
        None => String::new(),
        Some(At::Time(at)) => format!(" @ {:.3}", at.0 as f64 / 1000.0),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
    }
}

fn offset(offset: &Offset) -> String {
    match offset {
        Offset::None => String::new(),
        Offset::Computed(expr) => format!(" offset {expr}"),
        Offset::Fixed(Millis(0)) => " offset 0s".to_owned(),
        Offset::Fixed(length) if length.0 < 0 => format!(" offset -{}", format_duration(Millis(-length.0))),
        Offset::Fixed(length) => format!(" offset {}", format_duration(*length)),
    }
}
