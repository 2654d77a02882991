//! The lexer: text to tokens, on demand.
//!
//! What a character means depends on where it stands, so the lexer is a small machine of modes. It reads only as far as
//! the parser asks: an error of the parser in front of an error of the lexer is reported first.
//!
//! ```text
//! Statements ─{─► Braces ─}─► Statements          `[` ─► Duration ─first number─► Statements (bracket open)
//! series descriptions:  metric ─► Values ─{{─► Histogram ─[─► Buckets
//! ```

mod series;

use super::token::{Kind, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Statements,
    Duration,
    Values,
    Histogram,
    /// After a `}}` that a `x`, `+` or `-` follows.
    HistogramOperator,
    Over,
}

/// Reads tokens off a text.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    position: usize,
    start: usize,
    mode: Mode,
    paren_depth: usize,
    brace_open: bool,
    bracket_open: bool,
    colon_seen: bool,
    duration_seen: bool,
    series_description: bool,
    message: String,
}

type Lexed = Result<Option<Kind>, String>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str, series_description: bool) -> Self {
        Lexer {
            input,
            position: 0,
            start: 0,
            mode: Mode::Statements,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            colon_seen: false,
            duration_seen: false,
            series_description,
            message: String::new(),
        }
    }

    /// What was wrong, after a token of kind `Error`.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The next token; comments are skipped. After an error or the end only `End` comes.
    pub(crate) fn next_token(&mut self) -> Token {
        loop {
            self.start = self.position;
            if self.mode == Mode::Over {
                return self.token(Kind::End);
            }
            let lexed = match self.mode {
                Mode::Duration => self.duration(),
                Mode::Values => self.values(),
                Mode::Histogram => self.histogram(),
                Mode::HistogramOperator => self.histogram_operator(),
                Mode::Statements | Mode::Over if self.brace_open => self.braces(),
                Mode::Statements | Mode::Over => self.statements(),
            };
            match lexed {
                Ok(None) => {}
                Ok(Some(kind)) => {
                    if kind == Kind::End {
                        self.mode = Mode::Over;
                    }
                    return self.token(kind);
                }
                Err(message) => {
                    self.message = message;
                    self.mode = Mode::Over;
                    return self.token(Kind::Error);
                }
            }
        }
    }

    fn token(&self, kind: Kind) -> Token {
        Token { kind, start: self.start, end: self.position }
    }

    fn peek(&self) -> Option<char> {
        self.input[self.position..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.next();
        }
        found
    }

    fn text(&self) -> &'a str {
        &self.input[self.start..self.position]
    }

    fn comment(&mut self) -> bool {
        let found = self.input[self.position..].starts_with('#');
        if found {
            while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                self.next();
            }
        }
        found
    }

    fn statements(&mut self) -> Lexed {
        if self.comment() {
            return Ok(None);
        }
        let Some(c) = self.next() else {
            if self.paren_depth != 0 {
                return Err("unclosed left parenthesis".to_owned());
            }
            if self.bracket_open {
                return Err("unclosed left bracket".to_owned());
            }
            return Ok(Some(Kind::End));
        };
        Ok(Some(match c {
            c if is_space(c) => return Ok(None),
            ',' => Kind::Comma,
            '*' => Kind::Mul,
            '/' => Kind::Div,
            '%' => Kind::Mod,
            '+' => Kind::Add,
            '-' => Kind::Sub,
            '^' => Kind::Pow,
            '@' => Kind::At,
            '=' | '!' | '<' | '>' => return self.comparison(c),
            '(' => self.left_paren(),
            ')' => return self.right_paren(),
            '{' => {
                self.brace_open = true;
                Kind::LeftBrace
            }
            '[' => return self.left_bracket(),
            ']' if !self.bracket_open => return Err(format!("unexpected right bracket {}", quote_char(Some(c)))),
            ']' => {
                self.bracket_open = false;
                Kind::RightBracket
            }
            '"' | '\'' | '`' => return self.quoted(c),
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) => {
                self.position = self.start;
                return self.number_or_duration();
            }
            c if is_alpha(c) || c == ':' => return self.word_or_colon(c),
            _ => return Err(format!("unexpected character: {}", quote_char(Some(c)))),
        }))
    }

    fn comparison(&mut self, first: char) -> Lexed {
        Ok(Some(match (first, self.peek()) {
            ('=', Some('=')) => self.second(Kind::EqualEqual),
            ('=', Some('~')) => return Err(format!("unexpected character after '=': {}", quote_char(Some('~')))),
            ('=', _) => Kind::Equal,
            ('!', Some('=')) => self.second(Kind::NotEqual),
            ('!', other) => return Err(format!("unexpected character after '!': {}", quote_char(other))),
            ('<', Some('=')) => self.second(Kind::LessEqual),
            ('<', Some('/')) => self.second(Kind::TrimUpper),
            ('<', _) => Kind::Less,
            (_, Some('=')) => self.second(Kind::GreaterEqual),
            (_, Some('/')) => self.second(Kind::TrimLower),
            _ => Kind::Greater,
        }))
    }

    fn second(&mut self, kind: Kind) -> Kind {
        self.next();
        kind
    }

    fn left_paren(&mut self) -> Kind {
        self.paren_depth += 1;
        Kind::LeftParen
    }

    fn right_paren(&mut self) -> Lexed {
        if self.paren_depth == 0 {
            self.start = self.position;
            return Err(format!("unexpected right parenthesis {}", quote_char(Some(')'))));
        }
        self.paren_depth -= 1;
        Ok(Some(Kind::RightParen))
    }

    fn left_bracket(&mut self) -> Lexed {
        if self.bracket_open {
            return Err(format!("unexpected left bracket {}", quote_char(Some('['))));
        }
        self.colon_seen = false;
        self.bracket_open = true;
        self.mode = Mode::Duration;
        Ok(Some(Kind::LeftBracket))
    }

    fn word_or_colon(&mut self, c: char) -> Lexed {
        if !self.bracket_open {
            self.position = self.start;
            return self.keyword_or_identifier();
        }
        if c == ':' {
            if self.colon_seen {
                return Err(format!("unexpected colon {}", quote_char(Some(c))));
            }
            self.colon_seen = true;
            return Ok(Some(Kind::Colon));
        }
        if starts_duration_word(c)
            && let Some(kind) = self.duration_word()
        {
            return Ok(Some(kind));
        }
        Err(format!("unexpected character: {}, expected {}", quote_char(Some(c)), quote_char(Some(':'))))
    }

    /// Inside `[…]`, up to the first number.
    fn duration(&mut self) -> Lexed {
        let Some(c) = self.next() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        Ok(Some(match c {
            c if is_space(c) => return Ok(None),
            ']' => {
                self.bracket_open = false;
                self.colon_seen = false;
                self.mode = Mode::Statements;
                Kind::RightBracket
            }
            ':' => {
                if !self.duration_seen {
                    self.start = self.position;
                    return Err("unexpected colon before duration in duration expression".to_owned());
                }
                if self.colon_seen {
                    self.start = self.position;
                    return Err("unexpected repeated colon in duration expression".to_owned());
                }
                self.colon_seen = true;
                Kind::Colon
            }
            '(' => self.left_paren(),
            ')' => return self.right_paren(),
            '+' => Kind::Add,
            '-' => Kind::Sub,
            '*' => Kind::Mul,
            '/' => Kind::Div,
            '%' => Kind::Mod,
            '^' => Kind::Pow,
            ',' => Kind::Comma,
            c if starts_duration_word(c) => match self.duration_word() {
                Some(kind) => kind,
                None => return Err(format!("unexpected character in duration expression: {}", quote_char(Some(c)))),
            },
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) => {
                self.position = self.start;
                self.duration_seen = true;
                self.mode = Mode::Statements;
                return self.number_or_duration();
            }
            _ => return Err(format!("unexpected character in duration expression: {}", quote_char(Some(c)))),
        }))
    }

    fn duration_word(&mut self) -> Option<Kind> {
        while self.accept(is_alpha) {}
        match self.text().to_ascii_lowercase().as_str() {
            "step" => Some(Kind::Step),
            "range" => Some(Kind::Range),
            "max_of" => Some(Kind::MaxOf),
            "min_of" => Some(Kind::MinOf),
            _ => None,
        }
    }

    /// Inside `{…}`: no keywords.
    fn braces(&mut self) -> Lexed {
        if self.comment() {
            return Ok(None);
        }
        let Some(c) = self.next() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        Ok(Some(match c {
            c if is_space(c) => return Ok(None),
            c if is_alpha(c) => {
                while self.accept(is_alphanumeric) {}
                Kind::Identifier
            }
            ',' => Kind::Comma,
            '"' | '\'' | '`' => return self.quoted(c),
            '=' if self.accept(|c| c == '~') => Kind::RegexEqual,
            '=' => Kind::Equal,
            '!' => match self.peek() {
                Some('~') => self.second(Kind::RegexNotEqual),
                Some('=') => self.second(Kind::NotEqual),
                other => {
                    return Err(format!("unexpected character after '!' inside braces: {}", quote_char(other)));
                }
            },
            '{' => return Err(format!("unexpected left brace {}", quote_char(Some(c)))),
            '}' => {
                self.brace_open = false;
                self.mode = if self.series_description { Mode::Values } else { Mode::Statements };
                Kind::RightBrace
            }
            _ => return Err(format!("unexpected character inside braces: {}", quote_char(Some(c)))),
        }))
    }

    fn quoted(&mut self, open: char) -> Lexed {
        loop {
            match self.next() {
                None if open == '`' => return Err("unterminated raw string".to_owned()),
                None => return Err("unterminated quoted string".to_owned()),
                Some('\n') if open != '`' => return Err("unterminated quoted string".to_owned()),
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                Some('\\') if open != '`' => self.escape(open)?,
                Some(c) if c == open => return Ok(Some(Kind::Text)),
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self, open: char) -> Result<(), String> {
        let unterminated = || "escape sequence not terminated".to_owned();
        let first = self.next().ok_or_else(unterminated)?;
        let (digits, base, limit) = match first {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return Ok(()),
            c if c == open => return Ok(()),
            '0'..='7' => {
                self.position -= 1;
                (3, 8, 255)
            }
            'x' => (2, 16, 255),
            'u' => (4, 16, 0x10_ffff),
            'U' => (8, 16, 0x10_ffff),
            c => return Err(format!("unknown escape sequence {}", unicode_name(c))),
        };
        let mut value: u64 = 0;
        for _ in 0..digits {
            let c = self.next().ok_or_else(unterminated)?;
            let Some(digit) = c.to_digit(base) else {
                return Err(format!("illegal character {} in escape sequence", unicode_name(c)));
            };
            value = value * u64::from(base) + u64::from(digit);
        }
        if value > limit || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    fn number_or_duration(&mut self) -> Lexed {
        if self.scan_number() {
            return Ok(Some(Kind::Number));
        }
        if self.scan_duration_rest() {
            return Ok(Some(Kind::Duration));
        }
        Err(format!("bad number or duration syntax: {}", model::go_text::quote(self.text())))
    }

    fn number(&mut self) -> Lexed {
        if self.scan_number() {
            return Ok(Some(Kind::Number));
        }
        Err(format!("bad number syntax: {}", model::go_text::quote(self.text())))
    }

    /// Behind a number that a unit follows: `5` of `5m30s` has been read.
    fn scan_duration_rest(&mut self) -> bool {
        if !self.accept(|c| "smhdwy".contains(c)) {
            return false;
        }
        self.accept(|c| c == 's');
        while self.accept(|c| c.is_ascii_digit()) {
            while self.accept(|c| c.is_ascii_digit()) {}
            if !self.accept(|c| "smhdw".contains(c)) {
                return false;
            }
            self.accept(|c| c == 's');
        }
        match self.peek() {
            Some(c) if is_alphanumeric(c) => {
                self.next();
                false
            }
            _ => true,
        }
    }

    /// Reads what looks like a number; whether it is one the parser finds out.
    fn scan_number(&mut self) -> bool {
        let begin = self.position;
        let mut hexadecimal = false;
        if !self.series_description && self.accept(|c| c == '0') && self.accept(|c| c == 'x' || c == 'X') {
            self.accept(|c| c == '_');
            hexadecimal = true;
        }
        let is_digit = |c: char| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        self.accept(|c| c == '.');
        self.accept(is_digit);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek().filter(|c| is_digit(*c) || "._eE".contains(*c)) {
            if c == '.' {
                self.next();
                if dot || self.accept(|c| "_.".contains(c)) || hexadecimal {
                    return false;
                }
                dot = true;
            } else if "eE".contains(c) {
                // of hexadecimal digits too, as upstream does
                self.next();
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept(|c| "+-".contains(c));
                if self.accept(|c| "._eE".contains(c)) || self.peek().is_none() {
                    return false;
                }
            } else if c == '_' {
                self.next();
                if self.accept(|c| "._eE".contains(c)) || self.peek().is_none() {
                    return false;
                }
            } else {
                while self.accept(is_digit) {}
            }
        }
        if self.position == begin {
            return false;
        }
        match self.peek() {
            Some('x') if self.series_description => true,
            Some(c) => !is_alphanumeric(c),
            None => true,
        }
    }

    fn keyword_or_identifier(&mut self) -> Lexed {
        while self.accept(|c| is_alphanumeric(c) || c == ':') {}
        let word = self.text();
        let kind = match Kind::of_word(&word.to_ascii_lowercase()) {
            Some(Kind::Fill | Kind::FillLeft | Kind::FillRight) if !self.paren_follows() => Kind::Identifier,
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        if self.series_description && self.peek() != Some('{') {
            self.mode = Mode::Values;
        }
        Ok(Some(kind))
    }

    fn paren_follows(&self) -> bool {
        self.input[self.position..].chars().find(|c| !is_space(*c)) == Some('(')
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

fn starts_duration_word(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 's' | 'r' | 'm')
}

/// A character between single quotes, as Go's `%q` shows it; the end of input shows as U+FFFD.
fn quote_char(c: Option<char>) -> String {
    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = model::go_text::quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

/// `U+0069 'i'`, as Go's `%#U` shows a character.
fn unicode_name(c: char) -> String {
    let shown = if c.is_control() { String::new() } else { format!(" '{c}'") };
    format!("U+{:04X}{shown}", c as u32)
}
