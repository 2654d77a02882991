//! Lengths of time: a literal, or arithmetic with `step()`, `range()`, `min_of`, `max_of`.
//!
//! Behind `offset` a literal, a call or a signed parenthesis is the whole length: `x offset -2 ^ 2` is `(x offset -2) ^ 2`.
//! Only arithmetic that begins with an unsigned parenthesis or with two signs goes on.

use super::{Kind, Parsed, Parser, Stop};
use crate::syntax::ast::*;
use crate::syntax::error::Span;
use model::Millis;

/// Longest length in seconds: what fits Go's `time.Duration`.
pub(in crate::syntax) const SECONDS_MAX: f64 = 9_223_372_036.854_776;

/// Seconds as whole milliseconds, by way of nanoseconds as upstream rounds.
fn millis(seconds: f64) -> Millis {
    if seconds.is_nan() {
        // what Go makes of it: the longest length into the past
        return Millis(i64::MIN / 1_000_000);
    }
    Millis((seconds * 1e9).round() as i64 / 1_000_000)
}

impl Parser<'_> {
    /// Inside brackets: longer than nothing.
    pub(super) fn positive_length(&mut self) -> Parsed<Length> {
        Ok(match self.duration_expr(0)? {
            DurationTerm::Number(number) => {
                if number.value <= 0.0 {
                    self.note(number.span, "duration must be greater than 0");
                }
                Length::Fixed(millis(number.value))
            }
            DurationTerm::Expr(expr) => Length::Computed(expr),
        })
    }

    /// Behind `offset`.
    pub(super) fn offset_length(&mut self) -> Parsed<Offset> {
        let first = self.peek();
        let term = match first.kind {
            Kind::Number | Kind::Duration | Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf => {
                self.duration_operand()?
            }
            Kind::Add | Kind::Sub => {
                self.take();
                let negative = first.kind == Kind::Sub;
                match self.peek().kind {
                    Kind::Number | Kind::Duration => self.signed_literal(negative, first.start)?,
                    Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf => {
                        let term = self.duration_operand()?;
                        sign_kept(term, negative, first.start)
                    }
                    Kind::LeftParen => {
                        let open = self.peek().start;
                        let term = self.duration_paren()?;
                        let term = DurationTerm::Expr(wrapped(term, Span::new(open, self.last_end)));
                        self.signed(term, negative, first.start)
                    }
                    _ => {
                        let term = self.duration_expr(POWER_OF_POW)?;
                        let term = self.signed(term, negative, first.start);
                        self.duration_continued(term, 0)?
                    }
                }
            }
            _ => self.duration_expr(0)?,
        };
        Ok(match term {
            DurationTerm::Number(number) if number.value == 0.0 => Offset::None,
            DurationTerm::Number(number) => Offset::Fixed(millis(number.value)),
            DurationTerm::Expr(expr) => Offset::Computed(expr),
        })
    }

    fn duration_expr(&mut self, least: u8) -> Parsed<DurationTerm> {
        self.deeper(|parser| {
            let first = parser.duration_operand()?;
            parser.duration_continued(first, least)
        })
    }

    fn duration_continued(&mut self, mut left: DurationTerm, least: u8) -> Parsed<DurationTerm> {
        let depth = self.depth;
        loop {
            let token = self.peek();
            let (op, power) = match token.kind {
                Kind::Add => (DurationOp::Add, 1),
                Kind::Sub => (DurationOp::Sub, 1),
                Kind::Mul => (DurationOp::Mul, 2),
                Kind::Div => (DurationOp::Div, 2),
                Kind::Mod => (DurationOp::Mod, 2),
                Kind::Pow => (DurationOp::Pow, POWER_OF_POW),
                _ => break,
            };
            if power < least {
                break;
            }
            self.take();
            self.depth += 1;
            let right = self.duration_expr(if op == DurationOp::Pow { power } else { power + 1 })?;
            let zero = matches!(&right, DurationTerm::Number(number) if number.value == 0.0);
            if zero && matches!(op, DurationOp::Div | DurationOp::Mod) {
                let what = if op == DurationOp::Div { "division" } else { "modulo" };
                self.note(Span::new(token.start, token.end), format!("{what} by zero"));
            }
            left = DurationTerm::Expr(DurationExpr {
                op,
                lhs: Some(Box::new(left)),
                rhs: Some(Box::new(right)),
                wrapped: false,
                start: 0,
                end: 0,
            });
        }
        self.depth = depth;
        Ok(left)
    }

    fn duration_operand(&mut self) -> Parsed<DurationTerm> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => {
                let literal = self.number_literal()?;
                Ok(DurationTerm::Number(self.in_range(literal, literal.span)))
            }
            Kind::Add | Kind::Sub => {
                self.take();
                let term = self.duration_expr(POWER_OF_POW)?;
                Ok(self.signed(term, token.kind == Kind::Sub, token.start))
            }
            Kind::LeftParen => {
                let open = token.start;
                let term = self.duration_paren()?;
                Ok(DurationTerm::Expr(wrapped(term, Span::new(open, self.last_end))))
            }
            Kind::Step | Kind::Range => {
                self.take();
                self.expect(Kind::LeftParen)?;
                let end = self.expect(Kind::RightParen)?.end;
                let op = if token.kind == Kind::Step { DurationOp::Step } else { DurationOp::Range };
                let start = token.start;
                Ok(DurationTerm::Expr(DurationExpr { op, lhs: None, rhs: None, wrapped: false, start, end }))
            }
            Kind::MaxOf | Kind::MinOf => {
                self.take();
                self.expect(Kind::LeftParen)?;
                let lhs = self.duration_expr(0)?;
                self.expect(Kind::Comma)?;
                let rhs = self.duration_expr(0)?;
                let end = self.expect(Kind::RightParen)?.end;
                let op = if token.kind == Kind::MaxOf { DurationOp::MaxOf } else { DurationOp::MinOf };
                let (lhs, rhs) = (Some(Box::new(lhs)), Some(Box::new(rhs)));
                Ok(DurationTerm::Expr(DurationExpr { op, lhs, rhs, wrapped: false, start: token.start, end }))
            }
            _ => Err(Stop::Unexpected),
        }
    }

    /// `(…)`: what is inside.
    fn duration_paren(&mut self) -> Parsed<DurationTerm> {
        self.expect(Kind::LeftParen)?;
        let term = self.duration_expr(0)?;
        self.expect(Kind::RightParen)?;
        Ok(term)
    }

    fn signed_literal(&mut self, negative: bool, start: usize) -> Parsed<DurationTerm> {
        let mut literal = self.number_literal()?;
        if negative {
            literal.value = -literal.value;
        }
        literal.span.start = start;
        Ok(DurationTerm::Number(self.in_range(literal, Span::new(start, start + 1))))
    }

    /// A sign in front of a term; one in front of a bracketed literal keeps the brackets.
    fn signed(&mut self, term: DurationTerm, negative: bool, start: usize) -> DurationTerm {
        match term {
            DurationTerm::Number(mut literal) => {
                if negative {
                    literal.value = -literal.value;
                }
                literal.span.start = start;
                DurationTerm::Number(self.in_range(literal, Span::new(start, start + 1)))
            }
            expr if negative => sign_kept(expr, true, start),
            expr => expr,
        }
    }

    fn in_range(&mut self, mut literal: NumberLiteral, span: Span) -> NumberLiteral {
        if literal.value > SECONDS_MAX || literal.value < -SECONDS_MAX {
            self.note(span, "duration out of range");
            literal.value = 0.0;
        }
        literal
    }
}

const POWER_OF_POW: u8 = 3;

fn sign_kept(term: DurationTerm, negative: bool, start: usize) -> DurationTerm {
    let op = if negative { DurationOp::Sub } else { DurationOp::Add };
    let (lhs, rhs) = (None, Some(Box::new(term)));
    DurationTerm::Expr(DurationExpr { op, lhs, rhs, wrapped: false, start, end: start + 1 })
}

/// Remembers the parentheses, so that the printed form is the same.
fn wrapped(term: DurationTerm, span: Span) -> DurationExpr {
    match term {
        DurationTerm::Expr(expr) => DurationExpr { wrapped: true, ..expr },
        number => DurationExpr {
            op: DurationOp::Add,
            lhs: None,
            rhs: Some(Box::new(number)),
            wrapped: true,
            start: span.start,
            end: span.end,
        },
    }
}
