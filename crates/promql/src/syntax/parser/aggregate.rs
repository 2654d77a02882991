//! Aggregations, and the lists of labels that `by`, `on` and their like take.

use super::{Kind, Parsed, Parser, Stop, Token};
use crate::syntax::ast::*;
use crate::syntax::error::Span;
use crate::syntax::number;

impl Parser<'_> {
    /// `sum by (a) (x)`, `sum(x) by (a)`; the operator has been taken.
    pub(super) fn aggregate(&mut self, word: Token) -> Parsed<Expr> {
        let mut modifier = self.aggregate_modifier()?;
        let mut args = self.arguments()?;
        let mut end = self.last_end;
        if modifier.is_none() {
            // behind the body an unexpected token is no longer the aggregation's
            modifier = self.aggregate_modifier()?;
            if modifier.is_some() {
                end = self.last_end;
            }
        }
        let (grouping, without) = modifier.unwrap_or_default();
        let op = aggregate_op(word.kind);
        let span = Span::new(word.start, end);
        if args.is_empty() {
            self.note(span, "no arguments for aggregate expression provided");
            return Err(Stop::Noted);
        }
        let wanted = if op.takes_parameter() { 2 } else { 1 };
        if op.is_experimental() && !self.switches.experimental_functions {
            self.note(
                span,
                format!(
                    "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                    op.as_str()
                ),
            );
        }
        if args.len() != wanted {
            let got = args.len();
            self.note(
                span,
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}"),
            );
            return Err(Stop::Noted);
        }
        let expr = args.remove(wanted - 1);
        let param = args.pop();
        Ok(Expr::Aggregate(Box::new(Aggregate { op, expr, param, grouping, without, span })))
    }

    /// `by (…)` or `without (…)`: the labels, and whether `without`.
    fn aggregate_modifier(&mut self) -> Parsed<Option<(Vec<String>, bool)>> {
        let without = match self.peek().kind {
            Kind::By => false,
            Kind::Without => true,
            _ => return Ok(None),
        };
        self.take();
        Ok(Some((self.grouping_labels()?, without)))
    }

    /// What stands between a binary operator and its right side.
    pub(super) fn matching(&mut self) -> Parsed<(Matching, bool)> {
        let mut matching = Matching::default();
        let return_bool = self.peek().kind == Kind::Bool;
        if return_bool {
            self.take();
        }
        let labelled = matches!(self.peek().kind, Kind::On | Kind::Ignoring);
        if labelled {
            matching.on = self.take().kind == Kind::On;
            matching.labels = self.grouping_labels()?;
        }
        if labelled && matches!(self.peek().kind, Kind::GroupLeft | Kind::GroupRight) {
            let left = self.take().kind == Kind::GroupLeft;
            matching.card = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
            let next = self.peek().kind;
            let goes_on =
                super::starts_expression(next) || matches!(next, Kind::Fill | Kind::FillLeft | Kind::FillRight);
            if next == Kind::LeftParen || !goes_on {
                matching.include = self.grouping_labels()?;
            }
        }
        match self.peek().kind {
            Kind::Fill => {
                self.take();
                matching.fill_left = Some(self.fill_value()?);
                matching.fill_right = matching.fill_left;
            }
            Kind::FillLeft => {
                self.take();
                matching.fill_left = Some(self.fill_value()?);
                if self.peek().kind == Kind::FillRight {
                    self.take();
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            Kind::FillRight => {
                self.take();
                matching.fill_right = Some(self.fill_value()?);
                if self.peek().kind == Kind::FillLeft {
                    self.take();
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok((matching, return_bool))
    }

    fn fill_value(&mut self) -> Parsed<f64> {
        self.expect(Kind::LeftParen)?;
        let negative = self.peek().kind == Kind::Sub;
        if matches!(self.peek().kind, Kind::Add | Kind::Sub) {
            self.take();
        }
        let value = self.number_literal()?.value;
        self.expect(Kind::RightParen)?;
        Ok(if negative { -value } else { value })
    }

    /// `(a, "b c")`
    fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        if self.peek().kind != Kind::LeftParen {
            return Err(self.unexpected("grouping opts", "\"(\""));
        }
        self.take();
        let mut labels = Vec::new();
        if self.peek().kind == Kind::RightParen {
            self.take();
            return Ok(labels);
        }
        loop {
            labels.push(self.grouping_label()?);
            match self.peek().kind {
                Kind::Comma => {
                    self.take();
                    if self.peek().kind == Kind::RightParen {
                        self.take();
                        return Ok(labels);
                    }
                }
                Kind::RightParen => {
                    self.take();
                    return Ok(labels);
                }
                _ => return Err(self.unexpected("grouping opts", "\",\" or \")\"")),
            }
        }
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let token = self.peek();
        let label = match token.kind {
            Kind::Text => number::unquote(self.text(token)),
            kind if kind.may_name_label() => self.text(token).to_owned(),
            _ => return Err(self.unexpected("grouping opts", "label")),
        };
        self.take();
        if !number::is_label_name(&label) {
            let quoted = model::go_text::quote(&label);
            self.note(Span::new(token.start, token.end), format!("invalid label name for grouping: {quoted}"));
        }
        Ok(label)
    }
}

fn aggregate_op(kind: Kind) -> AggregateOp {
    match kind {
        Kind::Avg => AggregateOp::Avg,
        Kind::Bottomk => AggregateOp::Bottomk,
        Kind::Count => AggregateOp::Count,
        Kind::CountValues => AggregateOp::CountValues,
        Kind::Group => AggregateOp::Group,
        Kind::Max => AggregateOp::Max,
        Kind::Min => AggregateOp::Min,
        Kind::Quantile => AggregateOp::Quantile,
        Kind::Stddev => AggregateOp::Stddev,
        Kind::Stdvar => AggregateOp::Stdvar,
        Kind::Topk => AggregateOp::Topk,
        Kind::Limitk => AggregateOp::Limitk,
        Kind::LimitRatio => AggregateOp::LimitRatio,
        // the caller has seen that it is an aggregation; the one left
        _ => AggregateOp::Sum,
    }
}
