//! Go's regular expression syntax, read into `regex_syntax`'s representation.
//!
//! Our own reader, because the two dialects differ: in Go `\d \w \s \b` are ASCII, `{gid}`, `{,3}` and `[[a]` are
//! literal, `\Q…\E` quotes, repetitions end at 1000, and there are no set operators or nested brackets.
//!
//! ```text
//! stack of open groups:   frame 0          frame 1 "("
//!                         branches a|b     branches c
//!                         items    d e*    items    f g        ← what `|`, `)` and repetitions work on
//! ```
//!
//! Invariant: one pass from left to right, and the first fault found is the one Go reports, in Go's words.
//! Limits: groups nest 250 deep (Go: 1000; deeper ones would need more stack than a worker thread has), nested
//! repetitions multiply to at most 1000. Source: the syntax page of Go's `regexp/syntax`; compared with Go 1.26 (tests).

use super::RegexError;
use super::class;
use regex_syntax::hir::{Capture, Class, ClassUnicode, Hir, Look, Repetition};

/// How deep groups may nest.
const DEPTH_MAX: usize = 250;
/// How often something may be repeated, nested repetitions multiplied.
const REPEAT_MAX: u32 = 1000;

/// A read expression.
pub(super) struct Parsed {
    /// What it matches.
    pub(super) hir: Hir,
    /// Names of the groups; index 0 is the whole match.
    pub(super) groups: Vec<Option<Box<str>>>,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
}

/// Something a repetition can stand behind, and how often it already repeats inside.
struct Item {
    hir: Hir,
    repeats: u32,
}

struct Frame {
    capture: Option<u32>,
    outer_flags: Flags,
    branches: Vec<Item>,
    items: Vec<Item>,
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    flags: Flags,
    frames: Vec<Frame>,
    groups: Vec<Option<Box<str>>>,
    /// Where the repetition just read begins; empty when the last thing read was none.
    last_repeat: Option<&'a str>,
}

/// Reads `source`; `dot_all` is `(?s)` from the start.
pub(super) fn parse(source: &str, dot_all: bool) -> Result<Parsed, RegexError> {
    let mut parser = Parser {
        whole: source,
        rest: source,
        flags: Flags { dot_all, ..Flags::default() },
        frames: vec![Frame::new(None, Flags::default())],
        groups: vec![None],
        last_repeat: None,
    };
    while !parser.rest.is_empty() {
        parser.step()?;
    }
    if parser.frames.len() > 1 {
        return Err(fault("missing closing )", source));
    }
    let frame = parser.frames.pop().expect("the outermost frame is never closed");
    Ok(Parsed { hir: frame.finish().hir, groups: parser.groups })
}

fn fault(what: &str, expression: &str) -> RegexError {
    RegexError { message: format!("error parsing regexp: {what}: `{expression}`") }
}

/// The part of `from` that lies before its tail `to`.
fn up_to<'a>(from: &'a str, to: &str) -> &'a str {
    &from[..from.len() - to.len()]
}

fn next_char(text: &str) -> Option<(char, &str)> {
    let c = text.chars().next()?;
    Some((c, &text[c.len_utf8()..]))
}

impl Frame {
    fn new(capture: Option<u32>, outer_flags: Flags) -> Self {
        Frame { capture, outer_flags, branches: Vec::new(), items: Vec::new() }
    }

    fn end_branch(&mut self) {
        let repeats = self.items.iter().map(|item| item.repeats).max().unwrap_or(1);
        let hir = Hir::concat(self.items.drain(..).map(|item| item.hir).collect());
        self.branches.push(Item { hir, repeats });
    }

    fn finish(mut self) -> Item {
        self.end_branch();
        let repeats = self.branches.iter().map(|item| item.repeats).max().unwrap_or(1);
        let hir = Hir::alternation(self.branches.into_iter().map(|item| item.hir).collect());
        let hir = match self.capture {
            // names stay in `groups`: Go allows one name twice
            Some(index) => Hir::capture(Capture { index, name: None, sub: Box::new(hir) }),
            None => hir,
        };
        Item { hir, repeats }
    }
}

impl<'a> Parser<'a> {
    fn step(&mut self) -> Result<(), RegexError> {
        let before = self.rest;
        let Some((c, after)) = next_char(before) else { return Ok(()) };
        let last_repeat = self.last_repeat.take();
        match c {
            '(' if after.starts_with('?') => self.open_special()?,
            '(' => {
                self.rest = after;
                self.open_capture(None)?;
            }
            ')' => {
                self.rest = after;
                self.close()?;
            }
            '|' => {
                self.rest = after;
                self.frame().end_branch();
            }
            '*' => self.repeat(before, after, 0, None, last_repeat)?,
            '+' => self.repeat(before, after, 1, None, last_repeat)?,
            '?' => self.repeat(before, after, 0, Some(1), last_repeat)?,
            '{' => match Counts::parse(after) {
                Some((counts, after)) => {
                    if !counts.in_bounds() {
                        return Err(fault("invalid repeat count", up_to(before, after)));
                    }
                    self.repeat(before, after, counts.min, counts.max, last_repeat)?;
                }
                None => self.literal('{', after),
            },
            '^' => self.look(if self.flags.multi_line { Look::StartLF } else { Look::Start }, after),
            '$' => self.look(if self.flags.multi_line { Look::EndLF } else { Look::End }, after),
            '.' => {
                let class = class::any(self.flags.dot_all);
                self.push_class(class, after);
            }
            '[' => {
                let (class, after) = self.bracket(before)?;
                self.push_class(class, after);
            }
            '\\' => self.escape_outside(before)?,
            c => self.literal(c, after),
        }
        Ok(())
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the outermost frame is never closed")
    }

    fn push(&mut self, hir: Hir, after: &'a str) {
        self.frame().items.push(Item { hir, repeats: 1 });
        self.rest = after;
    }

    fn look(&mut self, look: Look, after: &'a str) {
        self.push(Hir::look(look), after);
    }

    fn push_class(&mut self, class: ClassUnicode, after: &'a str) {
        self.push(Hir::class(Class::Unicode(class)), after);
    }

    fn literal(&mut self, c: char, after: &'a str) {
        self.code_point(u32::from(c), after);
    }

    fn code_point(&mut self, code: u32, after: &'a str) {
        match char::from_u32(code) {
            Some(c) if !self.flags.fold => {
                self.push(Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes().to_vec()), after);
            }
            _ => self.push_class(class::folded(class::range(code, code), self.flags.fold), after),
        }
    }

    fn open_capture(&mut self, name: Option<&str>) -> Result<(), RegexError> {
        let index = self.groups.len() as u32;
        self.groups.push(name.map(Box::from));
        self.open(Some(index), self.flags)
    }

    fn open(&mut self, capture: Option<u32>, outer_flags: Flags) -> Result<(), RegexError> {
        if self.frames.len() > DEPTH_MAX {
            return Err(fault("expression nests too deeply", self.whole));
        }
        self.frames.push(Frame::new(capture, outer_flags));
        Ok(())
    }

    fn close(&mut self) -> Result<(), RegexError> {
        if self.frames.len() == 1 {
            return Err(fault("unexpected )", self.whole));
        }
        let frame = self.frames.pop().expect("more than one frame is open");
        self.flags = frame.outer_flags;
        let item = frame.finish();
        self.frame().items.push(item);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags:`, `(?flags)`; `self.rest` begins with `(?`.
    fn open_special(&mut self) -> Result<(), RegexError> {
        let before = self.rest;
        let named = if before.starts_with("(?P<") { before.get(4..) } else { before.strip_prefix("(?<") };
        // a lone "(?P<" or "(?<" at the end is a fault of flags, not of a name
        let Some(inside) = named.filter(|inside| !inside.is_empty()) else { return self.open_flags() };
        let Some(end) = inside.find('>') else { return Err(fault("invalid named capture", before)) };
        let (name, after) = (&inside[..end], &inside[end + 1..]);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(fault("invalid named capture", up_to(before, after)));
        }
        self.rest = after;
        self.open_capture(Some(name))
    }

    fn open_flags(&mut self) -> Result<(), RegexError> {
        let before = self.rest;
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        let mut rest = &before[2..];
        while let Some((c, after)) = next_char(rest) {
            rest = after;
            match c {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_all = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if on || seen => {
                    let outer = std::mem::replace(&mut self.flags, flags);
                    self.rest = rest;
                    return if c == ':' { self.open(None, outer) } else { Ok(()) };
                }
                _ => return Err(fault("invalid or unsupported Perl syntax", up_to(before, rest))),
            }
            seen = true;
        }
        Err(fault("invalid or unsupported Perl syntax", before))
    }

    fn repeat(
        &mut self,
        before: &'a str,
        after: &'a str,
        min: u32,
        max: Option<u32>,
        last_repeat: Option<&'a str>,
    ) -> Result<(), RegexError> {
        let (lazy, after) = match after.strip_prefix('?') {
            Some(after) => (true, after),
            None => (false, after),
        };
        if let Some(first) = last_repeat {
            return Err(fault("invalid nested repetition operator", up_to(first, after)));
        }
        let greedy = lazy == self.flags.swap_greed;
        let frame = self.frame();
        let Some(item) = frame.items.pop() else {
            return Err(fault("missing argument to repetition operator", up_to(before, after)));
        };
        let times = if before.starts_with('{') { max.unwrap_or(min).max(1) } else { 1 };
        let repeats = item.repeats.saturating_mul(times);
        if times >= 2 && repeats > REPEAT_MAX {
            return Err(fault("invalid repeat count", up_to(before, after)));
        }
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(item.hir) });
        frame.items.push(Item { hir, repeats });
        self.rest = after;
        self.last_repeat = Some(before);
        Ok(())
    }

    fn escape_outside(&mut self, before: &'a str) -> Result<(), RegexError> {
        let after = before.get(2..).unwrap_or("");
        match before.as_bytes().get(1) {
            Some(b'A') => self.look(Look::Start, after),
            Some(b'z') => self.look(Look::End, after),
            Some(b'b') => self.look(Look::WordAscii, after),
            Some(b'B') => self.look(Look::WordAsciiNegate, after),
            Some(b'C') => return Err(fault("invalid escape sequence", &before[..2])),
            Some(b'Q') => {
                let (text, after) = after.split_once(r"\E").unwrap_or((after, ""));
                for c in text.chars() {
                    self.literal(c, after);
                }
                self.rest = after;
            }
            _ => {
                if let Some((class, after)) = self.escaped_class(before)? {
                    self.push_class(class, after);
                } else {
                    let (code, after) = escape(before)?;
                    self.code_point(code, after);
                }
            }
        }
        Ok(())
    }

    /// `\d`, `\W`, `\pL`, `\P{^Greek}` …; `None` when `text` begins with something else.
    fn escaped_class(&self, text: &'a str) -> Result<Option<(ClassUnicode, &'a str)>, RegexError> {
        let Some(letter) = text.strip_prefix('\\').and_then(|t| t.chars().next()) else { return Ok(None) };
        if matches!(letter, 'p' | 'P') {
            return self.unicode_class(text).map(Some);
        }
        let Some(class) = class::perl(letter) else { return Ok(None) };
        let mut class = class::folded(class, self.flags.fold);
        if letter.is_ascii_uppercase() {
            class.negate();
        }
        Ok(Some((class, &text[2..])))
    }

    fn unicode_class(&self, text: &'a str) -> Result<(ClassUnicode, &'a str), RegexError> {
        let mut negated = text.starts_with(r"\P");
        let inside = &text[2..];
        let (name, after) = match next_char(inside) {
            Some(('{', _)) => match inside.find('}') {
                Some(end) => (&inside[1..end], &inside[end + 1..]),
                None => return Err(fault("invalid character class range", text)),
            },
            Some((_, after)) => (up_to(inside, after), after),
            None => return Err(fault("invalid character class range", text)),
        };
        let plain_name = name.strip_prefix('^').unwrap_or(name);
        negated ^= plain_name.len() != name.len();
        let class =
            if plain_name.eq_ignore_ascii_case("any") { Some(class::any(true)) } else { class::unicode(plain_name) };
        let class = class.ok_or_else(|| fault("invalid character class range", up_to(text, after)))?;
        let mut class = class::folded(class, self.flags.fold);
        if negated {
            class.negate();
        }
        Ok((class, after))
    }

    /// `[…]`; `before` begins with the bracket.
    fn bracket(&self, before: &'a str) -> Result<(ClassUnicode, &'a str), RegexError> {
        let mut rest = &before[1..];
        let negated = rest.starts_with('^');
        if negated {
            rest = &rest[1..];
        }
        let mut class = ClassUnicode::empty();
        let mut first = true;
        while first || !rest.starts_with(']') {
            first = false;
            if let Some((named, after)) = self.posix_class(rest)? {
                class.union(&named);
                rest = after;
            } else if let Some((escaped, after)) = self.escaped_class(rest)? {
                class.union(&escaped);
                rest = after;
            } else {
                let start = rest;
                let (low, after) = bracket_char(rest, before)?;
                let mut high = low;
                rest = after;
                if rest.len() >= 2 && rest.starts_with('-') && !rest[1..].starts_with(']') {
                    (high, rest) = bracket_char(&rest[1..], before)?;
                    if high < low {
                        return Err(fault("invalid character class range", up_to(start, rest)));
                    }
                }
                class.union(&class::folded(class::range(low, high), self.flags.fold));
            }
        }
        if negated {
            class.negate();
        }
        Ok((class, &rest[1..]))
    }

    fn posix_class(&self, text: &'a str) -> Result<Option<(ClassUnicode, &'a str)>, RegexError> {
        let Some((name, after)) = text.strip_prefix("[:").and_then(|t| t.split_once(":]")) else { return Ok(None) };
        let plain_name = name.strip_prefix('^').unwrap_or(name);
        let class =
            class::posix(plain_name).ok_or_else(|| fault("invalid character class range", up_to(text, after)))?;
        let mut class = class::folded(class, self.flags.fold);
        if plain_name.len() != name.len() {
            class.negate();
        }
        Ok(Some((class, after)))
    }
}

/// One end of a range inside brackets.
fn bracket_char<'a>(text: &'a str, bracket: &str) -> Result<(u32, &'a str), RegexError> {
    match next_char(text) {
        None => Err(fault("missing closing ]", bracket)),
        Some(('\\', _)) => escape(text),
        Some((c, after)) => Ok((u32::from(c), after)),
    }
}

/// One escaped character; `text` begins with the backslash.
fn escape(text: &str) -> Result<(u32, &str), RegexError> {
    let Some((c, after)) = next_char(&text[1..]) else {
        return Err(fault("trailing backslash at end of expression", ""));
    };
    let octal = |after: &str| after.starts_with(|c: char| ('0'..='7').contains(&c));
    let code = match c {
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        'x' => return hex_escape(text, after),
        '0'..='7' if c == '0' || octal(after) => {
            let more = after.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
            let digits = &text[1..2 + more];
            return Ok((digits.bytes().fold(0, |code, b| code * 8 + u32::from(b - b'0')), &after[more..]));
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(fault("invalid escape sequence", up_to(text, after))),
    };
    Ok((code, after))
}

/// `\x41` or `\x{1F600}`; `after` follows the `x`.
fn hex_escape<'a>(text: &'a str, after: &'a str) -> Result<(u32, &'a str), RegexError> {
    let bad = |rest: &str| fault("invalid escape sequence", up_to(text, rest));
    let (first, mut rest) = next_char(after).ok_or_else(|| bad(after))?;
    if first != '{' {
        let (second, rest) = next_char(rest).ok_or_else(|| bad(rest))?;
        return match (first.to_digit(16), second.to_digit(16)) {
            (Some(high), Some(low)) => Ok((high * 16 + low, rest)),
            _ => Err(bad(rest)),
        };
    }
    let (mut code, mut digits) = (0u32, 0);
    loop {
        let (c, after) = next_char(rest).ok_or_else(|| bad(rest))?;
        rest = after;
        match c.to_digit(16) {
            Some(digit) => code = code * 16 + digit,
            None if c == '}' && digits > 0 => return Ok((code, rest)),
            None => return Err(bad(rest)),
        }
        digits += 1;
        if code > u32::from(char::MAX) {
            return Err(bad(rest));
        }
    }
}

/// What stands inside `{…}` behind something repeated.
struct Counts {
    min: u32,
    max: Option<u32>,
}

impl Counts {
    /// `n}`, `n,}` or `n,m}`; anything else is literal text. A number too big to be a count is `u32::MAX`.
    fn parse(text: &str) -> Option<(Counts, &str)> {
        let (min, rest) = Self::number(text)?;
        if let Some(after) = rest.strip_prefix('}') {
            return Some((Counts { min, max: Some(min) }, after));
        }
        let rest = rest.strip_prefix(',')?;
        if let Some(after) = rest.strip_prefix('}') {
            return Some((Counts { min, max: None }, after));
        }
        let (max, rest) = Self::number(rest)?;
        Some((Counts { min, max: Some(max) }, rest.strip_prefix('}')?))
    }

    fn number(text: &str) -> Option<(u32, &str)> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        let leading_zero = digits.len() > 1 && digits.starts_with('0');
        if digits.is_empty() || leading_zero { None } else { Some((digits.parse().unwrap_or(u32::MAX), rest)) }
    }

    fn in_bounds(&self) -> bool {
        self.min <= REPEAT_MAX && self.max.is_none_or(|max| max <= REPEAT_MAX && self.min <= max)
    }
}
