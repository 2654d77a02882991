//! The plan: a tree with everything resolved that does not depend on data.
//!
//! Lengths are milliseconds, `@ start()` is a time, `start()` … `step()` are numbers, parentheses are gone. Parts whose value
//! is the same at every step are marked [`Node::Invariant`]: they are evaluated once. The rules are upstream's, because
//! they show: `timestamp(x @ 5)` is invariant, `timestamp(abs(x @ 5))` is not.

use crate::syntax::Span;
use crate::syntax::ast::*;
use model::{Matcher, Millis, Timestamp};

/// Functions whose value may change from step to step although their arguments do not.
const UNSTEADY: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// A resolved expression.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix(Window),
    Subquery(Box<SubqueryNode>),
    Call(CallNode),
    Aggregate(Box<AggregateNode>),
    Binary(Box<BinaryNode>),
    /// `-x`
    Negate(Box<Node>),
    /// `+x`: the value of `x`, but no selector any more where a function asks for one.
    Plus(Box<Node>),
    /// The same at every step.
    Invariant(Box<Node>),
}

/// A selector of series.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<Timestamp>,
    pub(crate) edges: Edges,
}

/// A selector with a range.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) selector: Selector,
    pub(crate) range_ms: i64,
}

/// A subquery.
#[derive(Clone, Debug)]
pub(crate) struct SubqueryNode {
    pub(crate) inner: Node,
    pub(crate) range_ms: i64,
    /// `None`: the engine's default.
    pub(crate) step_ms: Option<i64>,
    pub(crate) offset_ms: i64,
    pub(crate) at: Option<Timestamp>,
}

/// A call. Arguments keep their places for annotations.
#[derive(Clone, Debug)]
pub(crate) struct CallNode {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Node>,
    pub(crate) arg_spans: Vec<Span>,
    pub(crate) span: Span,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct AggregateNode {
    pub(crate) op: AggregateOp,
    pub(crate) inner: Node,
    pub(crate) param: Option<Node>,
    pub(crate) param_span: Span,
    /// Sorted.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

/// A binary operation.
#[derive(Clone, Debug)]
pub(crate) struct BinaryNode {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) lhs_type: ValueType,
    pub(crate) rhs_type: ValueType,
    pub(crate) matching: Matching,
    pub(crate) return_bool: bool,
    pub(crate) span: Span,
}

/// The query's own times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// 0 for an instant.
    pub(crate) step: Millis,
}

/// Resolves a tree.
///
/// # Errors
/// A duration expression without a usable value, in Prometheus' words.
pub(crate) fn plan(expr: &Expr, frame: Frame) -> Result<Node, String> {
    let planned = Planner { frame, in_parameter: false }.node(expr)?;
    Ok(if planned.wrap { Node::Invariant(Box::new(planned.node)) } else { planned.node })
}

struct Planned {
    node: Node,
    /// The value is the same at every step.
    steady: bool,
    /// It is worth marking: literals and ranges are not.
    wrap: bool,
}

impl Planned {
    fn wrapped(self) -> Node {
        if self.wrap { Node::Invariant(Box::new(self.node)) } else { self.node }
    }
}

struct Planner {
    frame: Frame,
    /// Inside an aggregation's parameter, which upstream does not prepare: `@ start()` and `@ end()` have no effect there.
    in_parameter: bool,
}

impl Planner {
    fn node(&self, expr: &Expr) -> Result<Planned, String> {
        let literal = |node| Ok(Planned { node, steady: true, wrap: false });
        match expr {
            Expr::Number(e) => literal(Node::Number(e.value)),
            Expr::String(e) => literal(Node::Text(e.value.clone())),
            Expr::Paren(e) => self.node(&e.expr),
            Expr::Unary(e) => {
                let inner = self.node(&e.expr)?;
                let sign = if e.negative { Node::Negate } else { Node::Plus };
                let node = sign(Box::new(inner.node));
                Ok(Planned { node, ..inner })
            }
            Expr::Vector(e) => {
                let selector = self.selector(e)?;
                let steady = selector.at.is_some();
                Ok(Planned { node: Node::Vector(selector), steady, wrap: steady })
            }
            Expr::Matrix(e) => {
                let selector = self.selector(&e.vector)?;
                let steady = selector.at.is_some();
                let range_ms = self.length(&e.range)?;
                let node = Node::Matrix(Window { selector, range_ms });
                Ok(Planned { node, steady, wrap: false })
            }
            Expr::Subquery(e) => self.subquery(e),
            Expr::Aggregate(e) => self.aggregate(e),
            Expr::Binary(e) => self.binary(e, expr.span()),
            Expr::Call(e) => self.call(e),
        }
    }

    fn step_s(&self) -> f64 {
        self.frame.step.0 as f64 / 1000.0
    }

    fn range_s(&self) -> f64 {
        (self.frame.end - self.frame.start).0 as f64 / 1000.0
    }

    fn length(&self, length: &Length) -> Result<i64, String> {
        match length {
            Length::Fixed(length) => Ok(length.0),
            Length::Computed(expr) => Ok(expr.evaluate(self.step_s(), self.range_s(), false)?.0),
        }
    }

    fn offset(&self, offset: &Offset) -> Result<i64, String> {
        match offset {
            Offset::None => Ok(0),
            Offset::Fixed(length) => Ok(length.0),
            Offset::Computed(expr) => Ok(expr.evaluate(self.step_s(), self.range_s(), true)?.0),
        }
    }

    fn at(&self, at: Option<At>) -> Option<Timestamp> {
        match at? {
            At::Time(at) => Some(at),
            At::Start | At::End if self.in_parameter => None,
            At::Start => Some(self.frame.start),
            At::End => Some(self.frame.end),
        }
    }

    fn selector(&self, e: &VectorSelector) -> Result<Selector, String> {
        Ok(Selector {
            matchers: e.matchers.clone(),
            offset_ms: self.offset(&e.offset)?,
            at: self.at(e.at),
            edges: e.edges,
        })
    }

    fn subquery(&self, e: &Subquery) -> Result<Planned, String> {
        let inner = self.node(&e.expr)?;
        let inner = if inner.steady && !matches!(inner.node, Node::Invariant(_)) {
            Node::Invariant(Box::new(inner.node))
        } else {
            inner.node
        };
        let at = self.at(e.at);
        let step_ms = e.step.as_ref().map(|step| self.length(step)).transpose()?.filter(|step| *step != 0);
        let node =
            SubqueryNode { inner, range_ms: self.length(&e.range)?, step_ms, offset_ms: self.offset(&e.offset)?, at };
        Ok(Planned { node: Node::Subquery(Box::new(node)), steady: at.is_some(), wrap: false })
    }

    fn aggregate(&self, e: &Aggregate) -> Result<Planned, String> {
        let inner = self.node(e.expr.unparenthesized())?;
        let parameter = Planner { in_parameter: true, ..*self };
        let param = e.param.as_ref().map(|param| parameter.node(param.unparenthesized())).transpose()?;
        let mut grouping = e.grouping.clone();
        grouping.sort();
        let node = AggregateNode {
            op: e.op,
            inner: inner.node,
            param: param.map(|param| param.node),
            param_span: e.param.as_ref().map(|param| param.unparenthesized().span()).unwrap_or_default(),
            grouping,
            without: e.without,
        };
        // as upstream: the parameter is not asked
        Ok(Planned { node: Node::Aggregate(Box::new(node)), steady: inner.steady, wrap: inner.wrap })
    }

    fn binary(&self, e: &Binary, span: Span) -> Result<Planned, String> {
        let (lhs, rhs) = (self.node(&e.lhs)?, self.node(&e.rhs)?);
        let steady = lhs.steady && rhs.steady;
        let (lhs, rhs) = if steady { (lhs.node, rhs.node) } else { (lhs.wrapped(), rhs.wrapped()) };
        let node = BinaryNode {
            op: e.op,
            lhs,
            rhs,
            lhs_type: e.lhs.value_type(),
            rhs_type: e.rhs.value_type(),
            matching: e.matching.clone().unwrap_or_default(),
            return_bool: e.return_bool,
            span,
        };
        Ok(Planned { node: Node::Binary(Box::new(node)), steady, wrap: steady })
    }

    fn call(&self, e: &Call) -> Result<Planned, String> {
        let seconds = |at: Timestamp| at.0 as f64 / 1000.0;
        let known = match e.function.name {
            "start" => Some(seconds(self.frame.start)),
            "end" => Some(seconds(self.frame.end)),
            "range" => Some(self.range_s()),
            "step" if self.frame.start == self.frame.end => Some(0.0),
            "step" => Some(self.step_s()),
            _ => None,
        };
        if let Some(value) = known {
            return Ok(Planned { node: Node::Number(value), steady: true, wrap: false });
        }
        let args: Vec<Planned> =
            e.args.iter().map(|arg| self.node(arg.unparenthesized())).collect::<Result<_, String>>()?;
        let all_steady = args.iter().all(|arg| arg.steady);
        let of_selectors = args.iter().all(|arg| matches!(arg.node, Node::Vector(_)));
        let steady =
            all_steady && (!UNSTEADY.contains(&e.function.name) || (e.function.name == "timestamp" && of_selectors));
        let node = CallNode {
            name: e.function.name,
            args: args.into_iter().map(|arg| if steady { arg.node } else { arg.wrapped() }).collect(),
            arg_spans: e.args.iter().map(|arg| place(arg.unparenthesized())).collect(),
            span: e.span,
        };
        Ok(Planned { node: Node::Call(node), steady, wrap: steady })
    }
}

/// Where annotations say that an argument stands. A subquery has lost its place by the time the original evaluates it.
fn place(arg: &Expr) -> Span {
    if matches!(arg, Expr::Subquery(_)) { Span::default() } else { arg.span() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Switches, parse};

    fn check(query: &str, expected: &str) {
        let frame = Frame { start: Timestamp(0), end: Timestamp(60_000), step: Millis(15_000) };
        let expr = parse(query, Switches::ALL).unwrap_or_else(|e| panic!("{query}: {e}"));
        let planned = plan(&expr, frame).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert_eq!(shape(&planned), expected, "{query}");
    }

    fn shape(node: &Node) -> String {
        match node {
            Node::Number(value) => value.to_string(),
            Node::Text(_) => "text".to_owned(),
            Node::Vector(_) => "v".to_owned(),
            Node::Matrix(window) => format!("m{}", window.range_ms),
            Node::Subquery(e) => format!("s({})", shape(&e.inner)),
            Node::Call(e) => format!("{}({})", e.name, e.args.iter().map(shape).collect::<Vec<_>>().join(",")),
            Node::Aggregate(e) => format!("{}({})", e.op.as_str(), shape(&e.inner)),
            Node::Binary(e) => format!("({} {} {})", shape(&e.lhs), e.op.as_str(), shape(&e.rhs)),
            Node::Negate(e) => format!("-{}", shape(e)),
            Node::Plus(e) => format!("+{}", shape(e)),
            Node::Invariant(e) => format!("!{}", shape(e)),
        }
    }

    #[test]
    fn what_stays_the_same_is_marked_once_and_as_high_as_can_be() {
        check("a", "v");
        check("a @ 5", "!v");
        check("1 + 2", "!(1 + 2)");
        check("sum(a @ 5) + b", "(!sum(v) + v)");
        check("rate(a[5m] @ end())", "!rate(m300000)");
        check("time()", "time()");
        check("timestamp(a @ 5)", "!timestamp(v)");
        check("timestamp(abs(a @ 5))", "timestamp(!abs(v))");
        check("sum_over_time((a @ 5)[1m:10s])", "sum_over_time(s(!v))");
        check("rate(a[step()*2]) + range()", "(rate(m30000) + 60)");
        check("timestamp(+a @ 5)", "timestamp(!+v)");
    }
}
