//! The tree of a query, as written: nothing resolved, every node knows where it stands.

use super::error::Span;
use super::function_table::Function;
use model::{Matcher, Millis, Timestamp};

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number at each step.
    Scalar,
    /// One number per series at each step.
    Vector,
    /// Many samples per series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The type's name in error messages.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            ValueType::String => "string",
        }
    }

    /// The type's name in answers (`resultType`).
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        }
    }
}

/// A query or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `sum by (a) (…)`
    Aggregate(Box<Aggregate>),
    /// `a + b`
    Binary(Box<Binary>),
    /// `rate(…)`
    Call(Call),
    /// `metric[5m]`
    Matrix(MatrixSelector),
    /// `1`, `0x1f`, `5m`
    Number(NumberLiteral),
    /// `(…)`
    Paren(Paren),
    /// `"text"`
    String(StringLiteral),
    /// `expr[1h:5m]`
    Subquery(Box<Subquery>),
    /// `-a`
    Unary(Unary),
    /// `metric{a="b"}`
    Vector(VectorSelector),
}

/// An aggregation operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the operators are the language's own words")]
pub enum AggregateOp {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Avg => "avg",
            AggregateOp::Bottomk => "bottomk",
            AggregateOp::Count => "count",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Group => "group",
            AggregateOp::Max => "max",
            AggregateOp::Min => "min",
            AggregateOp::Quantile => "quantile",
            AggregateOp::Stddev => "stddev",
            AggregateOp::Stdvar => "stdvar",
            AggregateOp::Sum => "sum",
            AggregateOp::Topk => "topk",
            AggregateOp::Limitk => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
        }
    }

    /// Whether it takes a parameter before the vector.
    pub fn takes_parameter(self) -> bool {
        use AggregateOp::*;
        matches!(self, Topk | Bottomk | CountValues | Quantile | Limitk | LimitRatio)
    }

    /// Whether it is behind the switch for experimental functions.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

/// An aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// The parameter of `topk` and its like.
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// `without` instead of `by`.
    pub without: bool,
    /// Where.
    pub span: Span,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the operators are the language's own words")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    /// `==`, `<` and the other four.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual)
    }

    /// `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }

    /// Whether the result is another quantity, so that the metric's name no longer fits it.
    pub fn changes_quantity(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Sub | Mul | Div | Mod | Pow | Atan2)
    }
}

/// How many series of one side meet how many of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// The set operators.
    ManyToMany,
}

impl Cardinality {
    /// The name in `parse_query`'s answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        }
    }
}

/// How the two sides of a binary operation find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// How many meet how many.
    pub card: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// `on` instead of `ignoring`.
    pub on: bool,
    /// The labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// What stands in for a missing left side.
    pub fill_left: Option<f64>,
    /// What stands in for a missing right side.
    pub fill_right: Option<f64>,
}

/// A binary operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Which.
    pub op: BinaryOp,
    /// Left side.
    pub lhs: Expr,
    /// Right side.
    pub rhs: Expr,
    /// How they match; `None` when a side is a scalar.
    pub matching: Option<Matching>,
    /// `bool`: comparisons yield 0 and 1 instead of filtering.
    pub return_bool: bool,
}

/// A call of a function.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub function: &'static Function,
    /// With what.
    pub args: Vec<Expr>,
    /// Where.
    pub span: Span,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name && self.args == other.args && self.span == other.span
    }
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 1609746000`
    Time(Timestamp),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// `offset`, as written.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Offset {
    /// Not given (or zero).
    #[default]
    None,
    /// A number of milliseconds, negative looks ahead.
    Fixed(Millis),
    /// To be computed from the query's step and range.
    Computed(DurationExpr),
}

/// A length of time, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Length {
    /// A number of milliseconds.
    Fixed(Millis),
    /// To be computed from the query's step and range.
    Computed(DurationExpr),
}

/// How a range selector treats its edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Edges {
    /// As the samples lie.
    #[default]
    Plain,
    /// `anchored`: the last sample at or before the start counts too.
    Anchored,
    /// `smoothed`: values at both edges are interpolated.
    Smoothed,
}

/// A selector of series.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The name outside the braces, or empty.
    pub name: String,
    /// All conditions, that of the name included (last).
    pub matchers: Vec<Matcher>,
    /// `offset`.
    pub offset: Offset,
    /// `@`.
    pub at: Option<At>,
    /// `anchored`, `smoothed`.
    pub edges: Edges,
    /// Where.
    pub span: Span,
    /// The second argument of `info`, which may match everything.
    pub may_match_all: bool,
}

/// A selector of series with a range.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Of which series; carries the modifiers.
    pub vector: VectorSelector,
    /// How far back.
    pub range: Length,
    /// End of the node.
    pub end: usize,
}

/// An expression evaluated over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What.
    pub expr: Expr,
    /// How far back.
    pub range: Length,
    /// At which distance; `None` is the engine's default.
    pub step: Option<Length>,
    /// `offset`.
    pub offset: Offset,
    /// `@`.
    pub at: Option<At>,
    /// End of the node.
    pub end: usize,
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub struct NumberLiteral {
    /// Its value; of a duration the seconds.
    pub value: f64,
    /// Written as a duration.
    pub duration: bool,
    /// Where.
    pub span: Span,
}

impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.value.to_bits() == other.value.to_bits() && self.duration == other.duration && self.span == other.span
    }
}

/// A text.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// Unquoted.
    pub value: String,
    /// Where.
    pub span: Span,
}

/// Parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    /// What is inside.
    pub expr: Box<Expr>,
    /// Where.
    pub span: Span,
}

/// A sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// `-` instead of `+`.
    pub negative: bool,
    /// Of what.
    pub expr: Box<Expr>,
    /// Start of the node.
    pub start: usize,
}

/// What a duration expression does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the operators are the language's own words")]
pub enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Step,
    Range,
    MinOf,
    MaxOf,
}

impl DurationOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            DurationOp::Add => "+",
            DurationOp::Sub => "-",
            DurationOp::Mul => "*",
            DurationOp::Div => "/",
            DurationOp::Mod => "%",
            DurationOp::Pow => "^",
            DurationOp::Step => "step",
            DurationOp::Range => "range",
            DurationOp::MinOf => "min_of",
            DurationOp::MaxOf => "max_of",
        }
    }
}

/// Arithmetic inside brackets or behind `offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// Which.
    pub op: DurationOp,
    /// Left side; none for a sign, `step()`, `range()`.
    pub lhs: Option<Box<DurationTerm>>,
    /// Right side; none for `step()`, `range()`.
    pub rhs: Option<Box<DurationTerm>>,
    /// In parentheses.
    pub wrapped: bool,
    /// Where its own first token stands.
    pub start: usize,
    /// End of its own last token; for nodes without sides.
    pub end: usize,
}

/// A side of a duration expression.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationTerm {
    /// A number or a duration.
    Number(NumberLiteral),
    /// More arithmetic.
    Expr(DurationExpr),
}

impl DurationTerm {
    /// Where.
    pub fn span(&self) -> Span {
        match self {
            DurationTerm::Number(number) => number.span,
            DurationTerm::Expr(expr) => expr.span(),
        }
    }
}

impl DurationExpr {
    /// Where.
    pub fn span(&self) -> Span {
        match (&self.lhs, &self.rhs) {
            (None, None) => Span::new(self.start, self.end),
            (Some(lhs), None) => Span::new(self.start, lhs.span().end),
            (None, Some(rhs)) => Span::new(self.start, rhs.span().end),
            (Some(lhs), Some(rhs)) => lhs.span().to(rhs.span()),
        }
    }
}

impl Expr {
    /// Where.
    pub fn span(&self) -> Span {
        match self {
            Expr::Aggregate(e) => e.span,
            Expr::Binary(e) => e.lhs.span().to(e.rhs.span()),
            Expr::Call(e) => e.span,
            Expr::Matrix(e) => Span::new(e.vector.span.start, e.end),
            Expr::Number(e) => e.span,
            Expr::Paren(e) => e.span,
            Expr::String(e) => e.span,
            Expr::Subquery(e) => Span::new(e.expr.span().start, e.end),
            Expr::Unary(e) => Span::new(e.start, e.expr.span().end),
            Expr::Vector(e) => e.span,
        }
    }

    /// What it yields.
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Aggregate(_) | Expr::Vector(_) => ValueType::Vector,
            Expr::Call(e) => e.function.returns,
            Expr::Matrix(_) | Expr::Subquery(_) => ValueType::Matrix,
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Paren(e) => e.expr.value_type(),
            Expr::Unary(e) => e.expr.value_type(),
            Expr::Binary(e) => match (e.lhs.value_type(), e.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }

    /// The expression inside any parentheses around it.
    pub fn unparenthesized(&self) -> &Expr {
        let mut expr = self;
        while let Expr::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}
