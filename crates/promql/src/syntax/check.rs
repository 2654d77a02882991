//! Types: what may stand where. Runs over a tree without syntax errors and notes every mistake in upstream's order.

use super::ast::*;
use super::error::Span;
use super::parser::Parser;
use model::go_text::quote;
use model::labels::METRIC_NAME;

/// Checks a tree, says its type; also settles what only types can settle (set operators match many to many, scalars do
/// not match at all).
pub(super) fn check(parser: &mut Parser<'_>, expr: &mut Expr) -> ValueType {
    let value_type = expr.value_type();
    match expr {
        Expr::Aggregate(e) => aggregate(parser, e),
        Expr::Binary(e) => binary(parser, e),
        Expr::Call(e) => call(parser, e),
        Expr::Matrix(e) => vector(parser, &e.vector),
        Expr::Paren(e) => {
            check(parser, &mut e.expr);
        }
        Expr::Subquery(_) => subquery(parser, expr),
        Expr::Unary(_) => unary(parser, expr),
        Expr::Vector(e) => vector(parser, e),
        Expr::Number(_) | Expr::String(_) => {}
    }
    value_type
}

fn expect(parser: &mut Parser<'_>, expr: &mut Expr, wanted: ValueType, context: &str) {
    let got = check(parser, expr);
    if got != wanted {
        let (wanted, got) = (wanted.documented(), got.documented());
        parser.note(expr.span(), format!("expected type {wanted} in {context}, got {got}"));
    }
}

fn aggregate(parser: &mut Parser<'_>, e: &mut Aggregate) {
    expect(parser, &mut e.expr, ValueType::Vector, "aggregation expression");
    let wanted = if e.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
    if let Some(param) = &mut e.param {
        expect(parser, param, wanted, "aggregation parameter");
    }
}

/// Where the operator stands: between the sides, without the blanks.
fn operator_span(parser: &Parser<'_>, e: &Binary) -> Span {
    let bytes = parser.input.as_bytes();
    let blank = |at: usize| bytes.get(at).is_some_and(|b| b" \t\r\n".contains(b));
    let (mut start, mut end) = (e.lhs.span().end, e.rhs.span().start.saturating_sub(1));
    while blank(start) {
        start += 1;
    }
    while end > start && blank(end) {
        end -= 1;
    }
    Span::new(start, end)
}

fn binary(parser: &mut Parser<'_>, e: &mut Binary) {
    let left = check(parser, &mut e.lhs);
    let right = check(parser, &mut e.rhs);
    let span = e.lhs.span().to(e.rhs.span());
    let at_operator = operator_span(parser, e);
    if e.return_bool && !e.op.is_comparison() {
        parser.note(at_operator, "bool modifier can only be used on comparison operators");
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if e.op.is_comparison() && !e.return_bool && scalars {
        parser.note(at_operator, "comparisons between scalars must use BOOL modifier");
    }
    let mut matching = e.matching.take().unwrap_or_default();
    if e.op.is_set() && matching.card == Cardinality::OneToOne {
        matching.card = Cardinality::ManyToMany;
    }
    for label in matching.labels.iter().filter(|label| matching.on && matching.include.contains(label)) {
        let label = quote(label);
        parser.note(at_operator, format!("label {label} must not occur in ON and GROUP clause at once"));
    }
    for (side, value_type) in [(&e.lhs, left), (&e.rhs, right)] {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            parser.note(side.span(), "binary expression must contain only scalar and instant vector types");
        }
    }
    let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
    if left != ValueType::Vector || right != ValueType::Vector {
        if !matching.labels.is_empty() {
            parser.note(span, "vector matching only allowed between instant vectors");
        }
        if filled {
            parser.note(span, "filling in missing series only allowed between instant vectors");
        }
    } else {
        if e.op.is_set() {
            if matching.card != Cardinality::ManyToMany {
                parser.note(span, format!("no grouping allowed for {} operation", quote(e.op.as_str())));
                parser.note(span, "set operations must always be many-to-many");
            }
            if filled {
                parser.note(span, "filling in missing series not allowed for set operators");
            }
        }
        e.matching = Some(matching);
    }
    if e.op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
        let op = quote(e.op.as_str());
        parser.note(span, format!("set operator {op} not allowed in binary scalar expression"));
    }
}

fn call(parser: &mut Parser<'_>, e: &mut Call) {
    let (function, got) = (e.function, e.args.len());
    let name = quote(function.name);
    let wanted = function.args.len();
    if function.variadic == 0 {
        if wanted != got {
            parser.note(e.span, format!("expected {wanted} argument(s) in call to {name}, got {got}"));
        }
    } else {
        let least = wanted - 1;
        let most = usize::try_from(function.variadic).ok().map(|more| least + more);
        if got < least {
            parser.note(e.span, format!("expected at least {least} argument(s) in call to {name}, got {got}"));
        } else if let Some(most) = most.filter(|most| got > *most) {
            parser.note(e.span, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
        }
    }
    if function.name == "info" && got > 1 {
        info_selector(parser, e);
    }
    for (at, arg) in e.args.iter_mut().enumerate() {
        if at >= wanted && function.variadic == 0 {
            break;
        }
        let Some(wanted) = function.args.get(at.min(wanted.saturating_sub(1))) else { break };
        let context = format!("call to function {name}");
        expect(parser, arg, *wanted, &context);
    }
}

fn info_selector(parser: &mut Parser<'_>, e: &mut Call) {
    let got = e.args[1].value_type();
    if got != ValueType::Vector {
        let (wanted, got) = (ValueType::Vector.documented(), got.documented());
        parser.note(e.span, format!("expected type {wanted} in call to function \"info\", got {got}"));
    }
    let span = e.args[1].span();
    match &mut e.args[1] {
        Expr::Vector(selector) if !selector.name.is_empty() => {
            parser.note(span, "expected label selectors only, got vector selector instead");
        }
        Expr::Vector(selector) => selector.may_match_all = true,
        _ => parser.note(span, "expected label selectors only"),
    }
}

fn subquery(parser: &mut Parser<'_>, expr: &mut Expr) {
    let span = expr.span();
    let Expr::Subquery(e) = expr else { return };
    let got = check(parser, &mut e.expr);
    if got != ValueType::Vector {
        let got = got.as_str();
        parser.note(span, format!("subquery is only allowed on instant vector, got {got} instead"));
    }
}

fn unary(parser: &mut Parser<'_>, expr: &mut Expr) {
    let span = expr.span();
    let Expr::Unary(e) = expr else { return };
    let got = check(parser, &mut e.expr);
    if !matches!(got, ValueType::Scalar | ValueType::Vector) {
        let got = quote(got.documented());
        parser.note(
            span,
            format!("unary expression only allowed on expressions of type scalar or instant vector, got {got}"),
        );
    }
}

fn vector(parser: &mut Parser<'_>, e: &VectorSelector) {
    if !e.name.is_empty() {
        // the last matcher is that of the name outside the braces
        let inside = &e.matchers[..e.matchers.len().saturating_sub(1)];
        if let Some(twice) = inside.iter().find(|m| &*m.name == METRIC_NAME) {
            let (first, second) = (quote(&e.name), quote(&twice.value));
            parser.note(e.span, format!("metric name must not be set twice: {first} or {second}"));
        }
    } else if !e.may_match_all && e.matchers.iter().all(|m| m.matches_empty()) {
        parser.note(e.span, "vector selector must contain at least one non-empty matcher");
    }
}
