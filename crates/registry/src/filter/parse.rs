//! Text → tree. Knows nothing of shapes.

use super::DEPTH_MAX;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Match(Match),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) selector: Vec<String>,
    pub(super) op: Op,
    pub(super) value: String,
}

/// What a comparison asks. `In` is `value in selector`; `contains` is the same the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    In,
    NotIn,
    Empty,
    NotEmpty,
    Matches,
    NotMatches,
}

pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expr = parser.or()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.unexpected("the end, \"and\" or \"or\""));
    }
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// A word or a literal; a literal can not be a selector.
enum Operand {
    Word(Vec<String>, String),
    Literal(String),
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn unexpected(&self, wanted: &str) -> String {
        let line = self.text[..self.at].matches('\n').count() + 1;
        let column = self.at - self.text[..self.at].rfind('\n').map_or(0, |n| n + 1) + 1;
        format!("{line}:{column} ({}): no match found, expected: {wanted}", self.at)
    }

    /// Takes `word` when it stands here, whole, in lower case.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        if after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            return false;
        }
        self.at += word.len();
        true
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut left = self.unary()?;
        while self.keyword("and") {
            left = Expr::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels"));
        }
        let expr = if self.keyword("not") {
            Expr::Not(Box::new(self.unary()?))
        } else if self.rest().starts_with('(') {
            self.at += 1;
            let inner = self.or()?;
            self.space();
            if !self.rest().starts_with(')') {
                return Err(self.unexpected("\")\""));
            }
            self.at += 1;
            inner
        } else {
            Expr::Match(self.comparison()?)
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Match, String> {
        let left = self.operand()?;
        self.space();
        let negated = self.keyword("not");
        if self.keyword("in") {
            let value = match left {
                Operand::Word(_, text) | Operand::Literal(text) => text,
            };
            let Operand::Word(selector, _) = self.operand()? else { return Err(self.unexpected("a selector")) };
            return Ok(Match { selector, op: if negated { Op::NotIn } else { Op::In }, value });
        }
        let Operand::Word(selector, _) = left else { return Err(self.unexpected("\"in\" or \"not in\"")) };
        let op = if self.keyword("contains") {
            if negated { Op::NotIn } else { Op::In }
        } else if self.keyword("matches") {
            if negated { Op::NotMatches } else { Op::Matches }
        } else if negated {
            return Err(self.unexpected("\"in\", \"contains\" or \"matches\""));
        } else if self.keyword("is") {
            let op = if self.keyword("not") { Op::NotEmpty } else { Op::Empty };
            if !self.keyword("empty") {
                return Err(self.unexpected("\"empty\""));
            }
            return Ok(Match { selector, op, value: String::new() });
        } else if self.rest().starts_with("==") {
            self.at += 2;
            Op::Equal
        } else if self.rest().starts_with("!=") {
            self.at += 2;
            Op::NotEqual
        } else {
            return Err(self.unexpected("an operator"));
        };
        let value = match self.operand()? {
            Operand::Word(_, text) | Operand::Literal(text) => text,
        };
        if !self.rest().is_empty() && !self.rest().starts_with([' ', '\t', '\r', '\n', ')']) {
            return Err(self.unexpected("a space, \")\" or the end"));
        }
        Ok(Match { selector, op, value })
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.space();
        let rest = self.rest();
        if rest.starts_with(['"', '`']) {
            return self.quoted().map(Operand::Literal);
        }
        let start = self.at;
        let is_number = rest.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if is_number {
            let len = rest.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '.').unwrap_or(rest.len());
            self.at += len;
            return Ok(Operand::Literal(self.text[start..self.at].to_owned()));
        }
        let mut parts = vec![self.name()?];
        loop {
            if self.rest().starts_with('.') {
                self.at += 1;
                parts.push(self.name()?);
            } else if self.rest().starts_with('[') {
                self.at += 1;
                self.space();
                parts.push(self.quoted()?);
                self.space();
                if !self.rest().starts_with(']') {
                    return Err(self.unexpected("\"]\""));
                }
                self.at += 1;
            } else {
                return Ok(Operand::Word(parts, self.text[start..self.at].to_owned()));
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(self.unexpected("a value, a selector, \"(\" or \"not\""));
        }
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest[..len].to_owned();
        self.at += len;
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '`')) else {
            return Err(self.unexpected("a quoted string"));
        };
        let mut end = 1;
        let bytes = rest.as_bytes();
        while bytes.get(end).is_some_and(|&b| b != quote as u8) {
            end += if quote == '"' && bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            return Err(self.unexpected("the end of the string"));
        }
        let literal = &rest[..=end];
        let text = if quote == '`' {
            literal[1..end].to_owned()
        } else {
            model::go_text::unquote(literal).map_err(|e| format!("{}: {e}", self.unexpected("a string")))?
        };
        self.at += end + 1;
        Ok(text)
    }
}
