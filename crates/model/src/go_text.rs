//! Text as Go writes it: quoted strings and floats. The APIs, files and error texts of the originals show both.
//!
//! ```text
//! value        'f' (PromQL)   JSON API     'g' (exposition)
//! 1            1              1            1
//! 1e6          1000000        1000000      1e+06
//! 0.0000001    0.0000001      1e-07        1e-07
//! 1e21         1000…000       1e+21        1e+21
//! ```
//!
//! All three print the shortest digits that read back to the same bits; they differ in when they switch to the
//! exponent form. Source: Go's `strconv` documentation; every row was compared with Go 1.26 (tests).
//! Cost: integers below 2^53 go through `itoa`, the rest through `zmij`; the `append_*` forms allocate only to grow.

use std::sync::LazyLock;
use thiserror::Error;

/// When a float is written with an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatStyle {
    /// Never: Go's `'f', -1`, as PromQL prints values.
    Plain,
    /// Below 1e-6 and from 1e21: the HTTP API's JSON.
    Json,
    /// Below 1e-4 and from 1e6: Go's `'g', -1`, as exporters print values.
    General,
}

/// `value` as Go's `strconv.FormatFloat(value, 'f', -1, 64)`; `+Inf`, `-Inf`, `NaN`.
pub fn format_float(value: f64) -> String {
    format_float_as(value, FloatStyle::Plain)
}

/// `value` as the HTTP API's JSON shows it (without the quotes around it).
pub fn format_float_json(value: f64) -> String {
    format_float_as(value, FloatStyle::Json)
}

/// `value` as the text exposition format shows it.
pub fn format_float_general(value: f64) -> String {
    format_float_as(value, FloatStyle::General)
}

fn format_float_as(value: f64, style: FloatStyle) -> String {
    let mut text = Vec::with_capacity(24);
    append_float(&mut text, value, style);
    text.into_iter().map(char::from).collect()
}

/// Appends `value` in `style`.
pub fn append_float(into: &mut Vec<u8>, value: f64, style: FloatStyle) {
    if !value.is_finite() {
        let text: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"+Inf"
        } else {
            b"-Inf"
        };
        into.extend_from_slice(text);
        return;
    }
    // 2^53: below it an integer's own digits are the shortest ones; 'g' needs an exponent from 1e6 on
    let whole_max = if style == FloatStyle::General { 1e6 } else { 9_007_199_254_740_992.0 };
    if value.abs() < whole_max && value.trunc() == value && (value != 0.0 || value.is_sign_positive()) {
        into.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        return;
    }
    if value.is_sign_negative() {
        into.push(b'-');
    }
    let digits = Digits::of(value.abs());
    let with_exponent = match style {
        FloatStyle::Plain => false,
        FloatStyle::Json => value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21),
        FloatStyle::General => value != 0.0 && (digits.point < -3 || digits.point > GENERAL_PRECISION),
    };
    if with_exponent { digits.append_exponent(into) } else { digits.append_plain(into) }
}

/// With more digits than this before the point, `'g', -1` uses the exponent form.
const GENERAL_PRECISION: i32 = 6;

/// A finite positive number as decimal digits and where the point stands: 0.d1d2d3… · 10^point.
struct Digits {
    bytes: [u8; 32],
    len: usize,
    point: i32,
}

impl Digits {
    fn of(value: f64) -> Self {
        let mut digits = Digits { bytes: [0; 32], len: 0, point: 0 };
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value).as_bytes();
        let (mantissa, exponent) = match text.iter().position(|b| *b == b'e') {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let mut point_seen = false;
        for byte in mantissa {
            match byte {
                b'.' => point_seen = true,
                b'0' if digits.len == 0 => digits.point -= i32::from(point_seen),
                _ => {
                    digits.bytes[digits.len] = *byte;
                    digits.len += 1;
                    digits.point += i32::from(!point_seen);
                }
            }
        }
        digits.point += exponent;
        while digits.len > 0 && digits.bytes[digits.len - 1] == b'0' {
            digits.len -= 1;
        }
        if digits.len == 0 {
            // zero: Go prints one digit before the point
            digits.bytes[0] = b'0';
            digits.len = 1;
            digits.point = 1;
        }
        digits
    }

    fn append_plain(&self, into: &mut Vec<u8>) {
        let digits = &self.bytes[..self.len];
        if self.point <= 0 {
            into.extend_from_slice(b"0.");
            into.resize(into.len() + self.point.unsigned_abs() as usize, b'0');
            into.extend_from_slice(digits);
            return;
        }
        let whole = self.point as usize;
        if whole >= self.len {
            into.extend_from_slice(digits);
            into.resize(into.len() + whole - self.len, b'0');
        } else {
            into.extend_from_slice(&digits[..whole]);
            into.push(b'.');
            into.extend_from_slice(&digits[whole..]);
        }
    }

    fn append_exponent(&self, into: &mut Vec<u8>) {
        into.push(self.bytes[0]);
        if self.len > 1 {
            into.push(b'.');
            into.extend_from_slice(&self.bytes[1..self.len]);
        }
        let exponent = self.point - 1;
        into.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            into.push(b'0');
        }
        into.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
    }
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let magnitude = digits.iter().fold(0i32, |sum, b| sum * 10 + i32::from(b - b'0'));
    if negative { -magnitude } else { magnitude }
}

/// `text` as Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    append_quoted(&mut quoted, text);
    quoted
}

/// `bytes` as Go's `%q` shows a string that may not be UTF-8: stray bytes as `\xff`.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        append_escaped(&mut quoted, chunk.valid());
        chunk.invalid().iter().for_each(|byte| append_hex(&mut quoted, "\\x", u32::from(*byte), 2));
    }
    quoted.push('"');
    quoted
}

/// Appends `text` as Go's `strconv.Quote`.
pub fn append_quoted(into: &mut String, text: &str) {
    into.push('"');
    append_escaped(into, text);
    into.push('"');
}

fn append_escaped(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            ' '..='~' => into.push(c),
            '\x07' => into.push_str("\\a"),
            '\x08' => into.push_str("\\b"),
            '\x0c' => into.push_str("\\f"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '\x0b' => into.push_str("\\v"),
            c if c < ' ' || c == '\x7f' => append_hex(into, "\\x", u32::from(c), 2),
            c if is_print(c) => into.push(c),
            c if u32::from(c) < 0x1_0000 => append_hex(into, "\\u", u32::from(c), 4),
            c => append_hex(into, "\\U", u32::from(c), 8),
        }
    }
}

fn append_hex(into: &mut String, lead: &str, number: u32, digits: u32) {
    into.push_str(lead);
    for at in (0..digits).rev() {
        let digit = (number >> (at * 4)) & 0xf;
        into.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols of Unicode 15, and the ASCII space.
pub fn is_print(c: char) -> bool {
    static PRINT: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
        let hir = regex_syntax::parse(r"[[\pL\pM\pN\pP\pS ]&&\p{age:15.0}]").expect("the class is a constant");
        match hir.kind() {
            regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
                class.ranges().iter().map(|r| (r.start(), r.end())).collect()
            }
            _ => Vec::new(),
        }
    });
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let after = PRINT.partition_point(|(first, _)| *first <= c);
    after > 0 && c <= PRINT[after - 1].1
}

/// A quoted string that is not one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("invalid syntax")]
pub struct UnquoteError;

/// The text that a PromQL string literal means: `"…"` and `'…'` with Go's escapes, `` `…` `` as it stands.
///
/// Errors: no matching quotes around, a line break inside `"` or `'`, an unknown escape, `\'` inside `"` (and the other
/// way round), bytes given by `\x` or octal escapes that are not UTF-8 together.
pub fn unquote(literal: &str) -> Result<String, UnquoteError> {
    let bytes = literal.as_bytes();
    let (Some(&open), Some(&close)) = (bytes.first(), bytes.last()) else { return Err(UnquoteError) };
    if bytes.len() < 2 || open != close {
        return Err(UnquoteError);
    }
    let inner = &bytes[1..bytes.len() - 1];
    match open {
        b'`' if !inner.contains(&b'`') => Ok(literal[1..literal.len() - 1].to_owned()),
        b'"' | b'\'' if !inner.contains(&b'\n') => unescape(inner, open),
        _ => Err(UnquoteError),
    }
}

fn unescape(mut rest: &[u8], quote: u8) -> Result<String, UnquoteError> {
    let mut text = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\\' => rest = unescape_one(rest, quote, &mut text)?,
            _ if byte == quote => return Err(UnquoteError),
            _ => text.push(byte),
        }
    }
    String::from_utf8(text).map_err(|_| UnquoteError)
}

/// Reads one escape, the backslash already taken; answers what follows it.
fn unescape_one<'a>(rest: &'a [u8], quote: u8, text: &mut Vec<u8>) -> Result<&'a [u8], UnquoteError> {
    let (&kind, after) = rest.split_first().ok_or(UnquoteError)?;
    let plain = match kind {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        b'\'' | b'"' if kind == quote => kind,
        b'x' => {
            return number(after, 2, 16).map(|(byte, rest)| {
                text.push(byte as u8);
                rest
            });
        }
        b'u' | b'U' => {
            let (code, rest) = number(after, if kind == b'u' { 4 } else { 8 }, 16)?;
            let c = char::from_u32(code).ok_or(UnquoteError)?;
            text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(rest);
        }
        b'0'..=b'7' => {
            let (code, rest) = number(rest, 3, 8)?;
            text.push(u8::try_from(code).map_err(|_| UnquoteError)?);
            return Ok(rest);
        }
        _ => return Err(UnquoteError),
    };
    text.push(plain);
    Ok(after)
}

fn number(rest: &[u8], digits: usize, radix: u32) -> Result<(u32, &[u8]), UnquoteError> {
    let (head, after) = rest.split_at_checked(digits).ok_or(UnquoteError)?;
    let mut value = 0u32;
    for byte in head {
        let digit = char::from(*byte).to_digit(radix).ok_or(UnquoteError)?;
        value = value.checked_mul(radix).and_then(|v| v.checked_add(digit)).ok_or(UnquoteError)?;
    }
    Ok((value, after))
}

#[cfg(test)]
mod tests;
