//! Tokens of text 0.0.4, and errors that name the place in the original's words.
//!
//! A body that does not end with a line break is read as if it did.

use super::TextError;
use crate::exposition::shown::{SHOWN_MAX, shown};
use memchr::{memchr, memchr2};

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Init,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Time,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Comment,
    Text,
    MetricName,
    BraceOpen,
    BraceClose,
    LabelName,
    Quoted,
    Equal,
    Comma,
    Value,
    Time,
}

impl Token {
    /// The original's word for it.
    fn word(self, state: State) -> &'static str {
        match self {
            Token::Invalid => "INVALID",
            Token::Eof => "EOF",
            Token::Linebreak => "LINEBREAK",
            Token::Help => "HELP",
            Token::Type => "TYPE",
            Token::Comment => "COMMENT",
            Token::Text => "TEXT",
            Token::MetricName => "MNAME",
            Token::BraceOpen => "BOPEN",
            Token::BraceClose => "BCLOSE",
            Token::LabelName => "LNAME",
            Token::Quoted if state == State::LabelValue => "LVALUE",
            Token::Quoted => "QSTRING",
            Token::Equal => "EQUAL",
            Token::Comma => "COMMA",
            Token::Value => "VALUE",
            Token::Time => "TIMESTAMP",
        }
    }
}

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    body: &'a [u8],
    /// Where the next token begins, blanks before it included. One beyond the end once the last line break is read.
    at: usize,
    token_start: usize,
    entry_start: usize,
    state: State,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Lexer { body, at: 0, token_start: 0, entry_start: 0, state: State::Init }
    }

    /// The entry that errors show begins here.
    pub(super) fn begin_entry(&mut self) {
        self.entry_start = self.at;
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or(b"")
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Nothing more is read.
    pub(super) fn end(&mut self) {
        self.at = self.body.len() + 1;
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn token_start(&self) -> usize {
        self.token_start
    }

    pub(super) fn token(&self) -> &'a [u8] {
        self.slice(self.token_start, self.at)
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.body.get(start..end.min(self.body.len())).unwrap_or(b"")
    }

    fn byte(&self, at: usize) -> Option<u8> {
        match self.body.get(at) {
            Some(byte) => Some(*byte),
            None => (at == self.body.len()).then_some(b'\n'),
        }
    }

    pub(super) fn next(&mut self, state: State) -> Token {
        self.state = state;
        if state == State::MetaText {
            self.token_start = self.at;
            self.at = self.line_end();
            return Token::Text;
        }
        while let Some(b' ' | b'\t') = self.body.get(self.at) {
            self.at += 1;
        }
        self.token_start = self.at;
        let Some(byte) = self.byte(self.at) else { return Token::Eof };
        match (state, byte) {
            (State::Init | State::Time, b'\n') => self.one(Token::Linebreak),
            (State::Init, b'#') => self.comment(),
            (State::Init | State::Value, b'{') => self.one(Token::BraceOpen),
            (State::Init | State::MetaName, b) if is_metric_start(b) => {
                self.run(|b| is_metric_start(b) || b.is_ascii_digit(), Token::MetricName)
            }
            (State::MetaName, b'"') => self.quoted(Token::MetricName),
            (State::Labels, b) if b.is_ascii_alphabetic() || b == b'_' => {
                self.run(|b| b.is_ascii_alphanumeric() || b == b'_', Token::LabelName)
            }
            (State::Labels | State::LabelValue, b'"') => self.quoted(Token::Quoted),
            (State::Labels, b'}') => self.one(Token::BraceClose),
            (State::Labels, b'=') => self.one(Token::Equal),
            (State::Labels, b',') => self.one(Token::Comma),
            (State::Value, b) if b != b'\n' && b != 0 => {
                self.run(|b| !matches!(b, 0 | b'{' | b' ' | b'\t' | b'\n'), Token::Value)
            }
            (State::Time, b) if b.is_ascii_digit() => self.run(|b| b.is_ascii_digit(), Token::Time),
            _ => Token::Invalid,
        }
    }

    fn one(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool, token: Token) -> Token {
        let rest = self.rest();
        self.at += rest.iter().position(|b| !belongs(*b)).unwrap_or(rest.len());
        token
    }

    fn line_end(&self) -> usize {
        let rest = self.rest();
        self.at + memchr(b'\n', rest).unwrap_or(rest.len())
    }

    fn comment(&mut self) -> Token {
        let line_end = self.line_end();
        let line = self.slice(self.at + 1, line_end);
        let blanks = |line: &[u8]| line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let lead = blanks(line);
        let word = &line[lead..];
        let token = match word.get(..4) {
            Some(b"HELP") => Token::Help,
            Some(b"TYPE") => Token::Type,
            _ => Token::Comment,
        };
        let behind = blanks(word.get(4..).unwrap_or(b""));
        if token == Token::Comment || lead == 0 || behind == 0 {
            self.at = line_end;
            return Token::Comment;
        }
        self.at += 1 + lead + 4 + behind;
        token
    }

    fn quoted(&mut self, token: Token) -> Token {
        let mut at = self.at + 1;
        loop {
            let rest = self.body.get(at..).unwrap_or(b"");
            match memchr2(b'"', b'\\', rest) {
                Some(found) if rest[found] == b'"' => {
                    self.at = at + found + 1;
                    return token;
                }
                Some(found) if rest.get(found + 1).is_none_or(|b| *b == b'\n') => {
                    self.at = (at + found + 1).min(self.body.len() + 1);
                    return Token::Invalid;
                }
                Some(found) => at += found + 2,
                None => {
                    self.at = self.body.len() + 1;
                    return Token::Invalid;
                }
            }
        }
    }

    /// `message` at the current token.
    pub(super) fn error(&self, message: String) -> TextError {
        let before = self.slice(0, self.token_start);
        let line = 1 + memchr::memchr_iter(b'\n', before).count() as u64;
        TextError { message, line }
    }

    /// What was expected, what was found, and the entry up to there.
    pub(super) fn unexpected(&self, expected: &str, found: Token) -> TextError {
        let end = self.at + 1;
        self.error(format!(
            "{expected}, got {} ({:?}) while parsing: {}",
            self.shown_to(self.token_start, end),
            found.word(self.state),
            self.shown_to(self.entry_start, end)
        ))
    }

    /// `message`, and the entry up to the current token's end.
    pub(super) fn error_in_entry(&self, message: &str) -> TextError {
        self.error(format!("{message} while parsing: {}", self.shown_to(self.entry_start, self.at)))
    }

    fn shown_to(&self, start: usize, end: usize) -> String {
        let mut bytes = self.slice(start, end.min(start.saturating_add(SHOWN_MAX + 1))).to_vec();
        let last_line_break = self.body.len() < end && start <= self.body.len();
        if last_line_break && bytes.len() <= SHOWN_MAX {
            bytes.push(b'\n');
        }
        shown(&bytes)
    }
}

fn is_metric_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':'
}
