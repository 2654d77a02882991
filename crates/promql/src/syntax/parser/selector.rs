//! Selectors and what may stand behind them: braces, `[…]`, `offset`, `@`, `anchored`, `smoothed`.

use super::{Kind, Parsed, Parser, Stop, Token};
use crate::syntax::ast::*;
use crate::syntax::error::Span;
use crate::syntax::number;
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher, Timestamp};

const OFFSET_TARGETS: &str =
    "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
const AT_TARGETS: &str =
    "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";

impl Parser<'_> {
    /// `name{…}`, `name` or `{…}`.
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        let token = self.peek();
        if token.kind == Kind::LeftBrace {
            let (matchers, end) = self.braces()?;
            return Ok(selector(String::new(), matchers, Span::new(token.start, end)));
        }
        if !token.kind.may_name_metric() {
            return Err(Stop::Unexpected);
        }
        self.take();
        self.vector_selector_named(token)
    }

    /// As above; the name has been taken.
    pub(super) fn vector_selector_named(&mut self, word: Token) -> Parsed<VectorSelector> {
        let name = self.text(word).to_owned();
        let (mut matchers, mut end) = (Vec::new(), word.end);
        if self.peek().kind == Kind::LeftBrace {
            (matchers, end) = self.braces()?;
        }
        matchers.push(Matcher::equal(METRIC_NAME, &name));
        Ok(selector(name, matchers, Span::new(word.start, end)))
    }

    /// `{a="b", "metric"}`: the matchers and where the braces end.
    fn braces(&mut self) -> Parsed<(Vec<Matcher>, usize)> {
        const CONTEXT: &str = "label matching";
        self.expect(Kind::LeftBrace)?;
        let mut matchers = Vec::new();
        if self.peek().kind == Kind::RightBrace {
            return Ok((matchers, self.take().end));
        }
        loop {
            matchers.extend(self.label_matcher()?);
            match self.peek().kind {
                Kind::RightBrace => return Ok((matchers, self.take().end)),
                Kind::Comma => {
                    self.take();
                    if self.peek().kind == Kind::RightBrace {
                        return Ok((matchers, self.take().end));
                    }
                }
                _ => return Err(self.unexpected(CONTEXT, "\",\" or \"}\"")),
            }
        }
    }

    fn label_matcher(&mut self) -> Parsed<Option<Matcher>> {
        const CONTEXT: &str = "label matching";
        let token = self.peek();
        let name = match token.kind {
            Kind::Identifier => self.text(token).to_owned(),
            Kind::Text => number::unquote(self.text(token)),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        self.take();
        let op = match self.peek().kind {
            Kind::Equal => MatchOp::Equal,
            Kind::NotEqual => MatchOp::NotEqual,
            Kind::RegexEqual => MatchOp::Regex,
            Kind::RegexNotEqual => MatchOp::NotRegex,
            _ if token.kind == Kind::Text => return Ok(Some(Matcher::equal(METRIC_NAME, &name))),
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.take();
        if self.peek().kind != Kind::Text {
            return Err(self.unexpected(CONTEXT, "string"));
        }
        let value = self.take();
        match Matcher::new(&name, op, &number::unquote(self.text(value))) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                self.note(Span::new(token.start, value.end), error.to_string());
                Ok(None)
            }
        }
    }

    /// `[5m]`, `[1h:5m]`, `[1h:]`
    pub(super) fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let open = self.take();
        let range = self.positive_length();
        let range = self.describing(range, "subquery or range selector", "number, duration, step(), or range()")?;
        match self.peek().kind {
            Kind::RightBracket => {
                let close = self.take();
                self.matrix_selector(expr, range, Span::new(open.start, close.end))
            }
            Kind::Colon => {
                self.take();
                let step = if self.peek().kind == Kind::RightBracket {
                    None
                } else {
                    let step = self.positive_length();
                    let expected = "number, duration, step(), range(), or \"]\"";
                    Some(self.describing(step, "subquery selector", expected)?)
                };
                let close = self.expect(Kind::RightBracket);
                let end = self.describing(close, "subquery selector", "\"]\"")?.end;
                let subquery = Subquery { expr, range, step, offset: Offset::None, at: None, end };
                Ok(Expr::Subquery(Box::new(subquery)))
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix_selector(&mut self, expr: Expr, range: Length, brackets: Span) -> Parsed<Expr> {
        let Expr::Vector(vector) = expr else {
            self.note(brackets, "ranges only allowed for vector selectors");
            return Err(Stop::Noted);
        };
        if vector.offset != Offset::None {
            self.note(brackets, "no offset modifiers allowed before range");
        } else if vector.at.is_some() {
            self.note(brackets, "no @ modifiers allowed before range");
        }
        Ok(Expr::Matrix(MatrixSelector { vector, range, end: brackets.end }))
    }

    /// `offset 5m`
    pub(super) fn offset(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.take();
        let offset = self.offset_length();
        let offset = self.describing(offset, "offset", "number, duration, step(), or range()")?;
        let (span, last_end) = (expr.span(), self.last_end);
        let (target, end) = match &mut expr {
            Expr::Vector(e) => (&mut e.offset, &mut e.span.end),
            Expr::Matrix(e) => (&mut e.vector.offset, &mut e.end),
            Expr::Subquery(e) => (&mut e.offset, &mut e.end),
            _ => {
                self.note(span, OFFSET_TARGETS);
                return Err(Stop::Noted);
            }
        };
        let again = *target != Offset::None;
        *target = offset;
        *end = last_end;
        if again {
            self.note(span, "offset may not be set multiple times");
        }
        Ok(expr)
    }

    /// `@ 123`, `@ start()`, `@ end()`
    pub(super) fn at(&mut self, mut expr: Expr) -> Parsed<Expr> {
        self.take();
        let span = expr.span();
        let at = self.at_target(span);
        let at = self.describing(at, "@", "timestamp")?;
        let last_end = self.last_end;
        let (target, end) = match &mut expr {
            Expr::Vector(e) => (&mut e.at, &mut e.span.end),
            Expr::Matrix(e) => (&mut e.vector.at, &mut e.end),
            Expr::Subquery(e) => (&mut e.at, &mut e.end),
            _ => {
                self.note(span, AT_TARGETS);
                return Err(Stop::Noted);
            }
        };
        if target.is_some() {
            self.note(span, "@ <timestamp> may not be set multiple times");
            return Err(Stop::Noted);
        }
        *target = Some(at);
        *end = last_end;
        Ok(expr)
    }

    fn at_target(&mut self, span: Span) -> Parsed<At> {
        let token = self.peek();
        match token.kind {
            Kind::Start | Kind::EndWord => {
                self.take();
                self.expect(Kind::LeftParen)?;
                self.expect(Kind::RightParen)?;
                return Ok(if token.kind == Kind::Start { At::Start } else { At::End });
            }
            Kind::Add | Kind::Sub => {
                self.take();
            }
            _ => {}
        }
        let seconds = self.number_literal()?.value;
        let seconds = if token.kind == Kind::Sub { -seconds } else { seconds };
        if !seconds.is_finite() || seconds >= i64::MAX as f64 || seconds <= i64::MIN as f64 {
            let shown =
                if seconds.is_finite() { format!("{seconds:.6}") } else { model::go_text::format_float(seconds) };
            self.note(span, format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok(At::Time(Timestamp((seconds * 1000.0).round() as i64)))
    }

    /// `anchored` or `smoothed`
    pub(super) fn edges(&mut self, mut expr: Expr, edges: Edges) -> Expr {
        self.take();
        let word = if edges == Edges::Anchored { "anchored" } else { "smoothed" };
        let span = expr.span();
        if !self.switches.extended_range_selectors {
            self.note(span, format!("{word} modifier is experimental and not enabled"));
            return expr;
        }
        let target = match &mut expr {
            Expr::Vector(e) => &mut e.edges,
            Expr::Matrix(e) => &mut e.vector.edges,
            Expr::Subquery(_) => {
                self.note(span, format!("{word} modifier is not supported for subqueries"));
                return expr;
            }
            _ => {
                self.note(span, format!("{word} modifier not implemented"));
                return expr;
            }
        };
        let both = *target != Edges::Plain && *target != edges;
        *target = edges;
        if both {
            self.note(span, "anchored and smoothed modifiers cannot be used together");
        }
        expr
    }
}

fn selector(name: String, matchers: Vec<Matcher>, span: Span) -> VectorSelector {
    VectorSelector { name, matchers, offset: Offset::None, at: None, edges: Edges::Plain, span, may_match_all: false }
}
