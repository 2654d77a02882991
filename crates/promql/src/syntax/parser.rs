//! The parser: tokens to tree, by precedence climbing.
//!
//! ```text
//! or < and unless < == != < <= > >= </ >/ < + - < * / % atan2 unary± < ^ (right) < [ ] offset @ anchored smoothed
//! ```
//!
//! Errors. A token that fits nowhere travels up as [`Stop::Unexpected`] until a construct that has a word for it describes
//! it ("… in aggregation"); upstream's generated parser unwinds its stack to the innermost such construct in the same
//! way. Mistakes that do not stop the parser are noted in order of text and the first one noted is reported. A token is
//! looked at only when the decision needs it, so that an error of the lexer is noted exactly when upstream would see it.

mod aggregate;
mod duration;
mod selector;

pub(super) use duration::SECONDS_MAX;

use super::ast::*;
use super::error::{ParseError, Span};
use super::lexer::Lexer;
use super::token::{Kind, Token, describe};
use super::{DEPTH_MAX, Switches, check, function_table, number};
use model::Matcher;

/// Why a construct could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The token to come does not fit; nobody has described it yet.
    Unexpected,
    /// The error has been noted.
    Noted,
}

pub(super) type Parsed<T> = Result<T, Stop>;

/// Parses one text.
pub(crate) struct Parser<'a> {
    pub(super) input: &'a str,
    pub(super) lexer: Lexer<'a>,
    lookahead: Option<Token>,
    /// End of the last token taken.
    pub(super) last_end: usize,
    depth: usize,
    pub(super) switches: Switches,
    errors: Vec<(Span, String)>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(input: &'a str, switches: Switches) -> Self {
        Parser::over(input, switches, false)
    }

    pub(super) fn over(input: &'a str, switches: Switches, series_description: bool) -> Self {
        Parser {
            input,
            lexer: Lexer::new(input, series_description),
            lookahead: None,
            last_end: 0,
            depth: 0,
            switches,
            errors: Vec::new(),
        }
    }

    /// The whole text as an expression.
    pub(crate) fn expression(mut self) -> Result<Expr, ParseError> {
        if self.peek().kind == Kind::End {
            self.note(Span::default(), "no expression found in input");
        }
        let parsed = self.whole_text(|parser| parser.expr(0));
        let mut expr = match parsed {
            Ok(expr) if self.errors.is_empty() => expr,
            _ => return Err(self.first_error()),
        };
        check::check(&mut self, &mut expr);
        if self.errors.is_empty() { Ok(expr) } else { Err(self.first_error()) }
    }

    /// The whole text as a selector without modifiers.
    pub(crate) fn metric_selector(mut self) -> Result<Vec<Matcher>, ParseError> {
        match self.whole_text(Parser::vector_selector) {
            Ok(selector) if self.errors.is_empty() => Ok(selector.matchers),
            _ => Err(self.first_error()),
        }
    }

    /// Parses and sees that nothing follows.
    pub(super) fn whole_text<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let parsed = parse(self).and_then(|parsed| match self.peek().kind {
            Kind::End | Kind::Error => Ok(parsed),
            _ => Err(Stop::Unexpected),
        });
        self.describing(parsed, "", "")
    }

    pub(super) fn first_error(self) -> ParseError {
        let (span, message) =
            self.errors.into_iter().next().unwrap_or_else(|| (Span::default(), "unexpected error".to_owned()));
        ParseError { span, message, place: span.line_column(self.input) }
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Notes a mistake.
    pub(super) fn note(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push((span, message.into()));
    }

    /// Describes an unexpected token, if nobody has yet.
    pub(super) fn describing<T>(&mut self, parsed: Parsed<T>, context: &str, expected: &str) -> Parsed<T> {
        if matches!(parsed, Err(Stop::Unexpected)) {
            return Err(self.unexpected(context, expected));
        }
        parsed
    }

    /// Notes that the token to come is unexpected.
    pub(super) fn unexpected(&mut self, context: &str, expected: &str) -> Stop {
        let token = self.peek();
        if token.kind != Kind::Error {
            let mut message = format!("unexpected {}", describe(token.kind, self.text(token)));
            if !context.is_empty() {
                message.push_str(" in ");
                message.push_str(context);
            }
            if !expected.is_empty() {
                message.push_str(", expected ");
                message.push_str(expected);
            }
            self.note(Span::new(token.start, token.end), message);
        }
        Stop::Noted
    }

    pub(super) fn peek(&mut self) -> Token {
        if let Some(token) = self.lookahead {
            return token;
        }
        let token = self.lexer.next_token();
        if token.kind == Kind::Error {
            let message = self.lexer.message().to_owned();
            self.note(Span::new(token.start, self.input.len()), message);
        }
        self.lookahead = Some(token);
        token
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek();
        self.lookahead = None;
        self.last_end = token.end;
        token
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        if self.peek().kind == kind { Ok(self.take()) } else { Err(Stop::Unexpected) }
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        &self.input[token.start..token.end]
    }

    /// Runs one level deeper; too deep is an error.
    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            let token = self.peek();
            self.note(Span::new(token.start, token.end), too_deep());
            return Err(Stop::Noted);
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// An expression whose operators bind at least as tightly as `least`.
    pub(super) fn expr(&mut self, least: u8) -> Parsed<Expr> {
        self.deeper(|parser| {
            let depth = parser.depth;
            let mut left = parser.operand()?;
            while let Some(longer) = parser.continued(&mut left, least)? {
                left = longer;
                // a chain of operators makes the tree as deep as nesting does
                parser.depth += 1;
                if parser.depth > DEPTH_MAX {
                    parser.note(left.span(), too_deep());
                    return Err(Stop::Noted);
                }
            }
            parser.depth = depth;
            Ok(left)
        })
    }

    /// What follows an expression and takes it in; `None` at its end.
    fn continued(&mut self, left: &mut Expr, least: u8) -> Parsed<Option<Expr>> {
        let token = self.peek();
        Ok(Some(match token.kind {
            Kind::LeftBracket => self.range(std::mem::replace(left, placeholder()))?,
            Kind::Offset => self.offset(std::mem::replace(left, placeholder()))?,
            Kind::At => self.at(std::mem::replace(left, placeholder()))?,
            Kind::Anchored => self.edges(std::mem::replace(left, placeholder()), Edges::Anchored),
            Kind::Smoothed => self.edges(std::mem::replace(left, placeholder()), Edges::Smoothed),
            kind => match binary_operator(kind) {
                Some((op, power)) if power >= least => {
                    self.binary(std::mem::replace(left, placeholder()), op, power)?
                }
                _ => return Ok(None),
            },
        }))
    }

    fn operand(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        match token.kind {
            Kind::Number | Kind::Duration => Ok(Expr::Number(self.number_literal()?)),
            Kind::Text => {
                let token = self.take();
                let value = number::unquote(self.text(token));
                Ok(Expr::String(StringLiteral { value, span: Span::new(token.start, token.end) }))
            }
            Kind::LeftParen => {
                self.take();
                let expr = Box::new(self.expr(0)?);
                let close = self.expect(Kind::RightParen)?;
                Ok(Expr::Paren(Paren { expr, span: Span::new(token.start, close.end) }))
            }
            Kind::Add | Kind::Sub => self.unary(),
            Kind::LeftBrace => Ok(Expr::Vector(self.vector_selector()?)),
            kind if kind.may_name_metric() => self.named(),
            _ => Err(Stop::Unexpected),
        }
    }

    /// A word at the start of an expression: an aggregation, a call, or a metric's name.
    fn named(&mut self) -> Parsed<Expr> {
        let word = self.take();
        let follows = self.peek().kind;
        match word.kind {
            kind if kind.is_aggregation() && matches!(follows, Kind::LeftParen | Kind::By | Kind::Without) => {
                let parsed = self.aggregate(word);
                self.describing(parsed, "aggregation", "")
            }
            Kind::Identifier | Kind::Start | Kind::EndWord | Kind::Step | Kind::Range | Kind::MaxOf | Kind::MinOf
                if follows == Kind::LeftParen =>
            {
                self.call(word)
            }
            _ => self.vector_selector_named(word).map(Expr::Vector),
        }
    }

    fn call(&mut self, word: Token) -> Parsed<Expr> {
        let args = self.arguments()?;
        let (name, span) = (self.text(word), Span::new(word.start, word.end));
        let Some(function) = function_table::function(name) else {
            self.note(span, format!("unknown function with name {}", model::go_text::quote(name)));
            return Err(Stop::Noted);
        };
        if function.experimental && !self.switches.experimental_functions {
            self.note(span, format!("function {} is not enabled", model::go_text::quote(name)));
        }
        Ok(Expr::Call(Call { function, args, span: Span::new(word.start, self.last_end) }))
    }

    /// `(a, b)`
    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect(Kind::LeftParen)?;
        let mut args = Vec::new();
        if self.peek().kind == Kind::RightParen {
            self.take();
            return Ok(args);
        }
        args.push(self.expr(0)?);
        while self.peek().kind == Kind::Comma {
            let comma = self.take();
            if starts_expression(self.peek().kind) {
                args.push(self.expr(0)?);
            } else {
                self.note(Span::new(comma.start, comma.end), "trailing commas not allowed in function call args");
            }
        }
        self.expect(Kind::RightParen)?;
        Ok(args)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let sign = self.take();
        let negative = sign.kind == Kind::Sub;
        Ok(match self.expr(POWER_OF_POW)? {
            Expr::Number(mut literal) => {
                if negative {
                    literal.value = -literal.value;
                }
                literal.span.start = sign.start;
                Expr::Number(literal)
            }
            expr => Expr::Unary(Unary { negative, expr: Box::new(expr), start: sign.start }),
        })
    }

    fn binary(&mut self, lhs: Expr, op: BinaryOp, power: u8) -> Parsed<Expr> {
        self.take();
        let (matching, return_bool) = self.matching()?;
        let rhs = self.expr(if op == BinaryOp::Pow { power } else { power + 1 })?;
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        let binary = Expr::Binary(Box::new(Binary { op, lhs, rhs, matching: Some(matching), return_bool }));
        if filled && !self.switches.fill_modifiers {
            self.note(binary.span(), "binop fill modifiers are experimental and not enabled");
        }
        Ok(binary)
    }

    /// A number or a duration.
    pub(super) fn number_literal(&mut self) -> Parsed<NumberLiteral> {
        let token = self.peek();
        if !matches!(token.kind, Kind::Number | Kind::Duration) {
            return Err(Stop::Unexpected);
        }
        self.take();
        let duration = token.kind == Kind::Duration;
        Ok(NumberLiteral { value: self.number_value(token), duration, span: Span::new(token.start, token.end) })
    }

    /// The value of a number or duration token; a bad one is noted.
    pub(super) fn number_value(&mut self, token: Token) -> f64 {
        let value = if token.kind == Kind::Duration {
            model::duration::parse_duration(self.text(token)).map(|d| d.0 as f64 / 1000.0).map_err(|e| e.to_string())
        } else {
            number::parse_number(self.text(token))
        };
        value.unwrap_or_else(|message| {
            self.note(Span::new(token.start, token.end), message);
            0.0
        })
    }
}

const POWER_OF_POW: u8 = 6;

fn binary_operator(kind: Kind) -> Option<(BinaryOp, u8)> {
    Some(match kind {
        Kind::Or => (BinaryOp::Or, 1),
        Kind::And => (BinaryOp::And, 2),
        Kind::Unless => (BinaryOp::Unless, 2),
        Kind::EqualEqual => (BinaryOp::Equal, 3),
        Kind::NotEqual => (BinaryOp::NotEqual, 3),
        Kind::Less => (BinaryOp::Less, 3),
        Kind::LessEqual => (BinaryOp::LessEqual, 3),
        Kind::Greater => (BinaryOp::Greater, 3),
        Kind::GreaterEqual => (BinaryOp::GreaterEqual, 3),
        Kind::TrimUpper => (BinaryOp::TrimUpper, 3),
        Kind::TrimLower => (BinaryOp::TrimLower, 3),
        Kind::Add => (BinaryOp::Add, 4),
        Kind::Sub => (BinaryOp::Sub, 4),
        Kind::Mul => (BinaryOp::Mul, 5),
        Kind::Div => (BinaryOp::Div, 5),
        Kind::Mod => (BinaryOp::Mod, 5),
        Kind::Atan2 => (BinaryOp::Atan2, 5),
        Kind::Pow => (BinaryOp::Pow, POWER_OF_POW),
        _ => return None,
    })
}

fn starts_expression(kind: Kind) -> bool {
    kind.may_name_metric()
        || matches!(
            kind,
            Kind::Number | Kind::Duration | Kind::Text | Kind::LeftParen | Kind::LeftBrace | Kind::Add | Kind::Sub
        )
}

fn too_deep() -> String {
    format!("expression is nested more than {DEPTH_MAX} levels deep")
}

/// Stands in for an expression while it is moved into the node around it.
fn placeholder() -> Expr {
    Expr::Number(NumberLiteral { value: 0.0, duration: false, span: Span::default() })
}
