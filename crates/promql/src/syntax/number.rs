//! Numbers and quoted texts as the language writes them: Go's forms.

/// A number literal: decimal, `0x`, `0o`, `0b`, a leading 0 for octal, underscores between digits, `Inf`, `NaN`.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(integer) = parse_integer(text) {
        return Ok(integer as f64);
    }
    let refuse = |what: &str| {
        Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {what}", model::go_text::quote(text)))
    };
    match parse_float(text) {
        // only a literal infinity is one
        Some(value) if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
            refuse("value out of range")
        }
        Some(value) => Ok(value),
        None => refuse("invalid syntax"),
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let prefixed = digits.len() != lower.len();
    if digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed) {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.starts_with(['+', '-']) {
        return None;
    }
    let value = u64::from_str_radix(&plain, base).ok()?;
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Go's `strconv.ParseFloat(text, 64)`; an overflow yields an infinity.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return None;
    }
    let negative = text.starts_with('-');
    let value = match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        lower if lower.starts_with("0x") => parse_hexadecimal_float(&lower[2..])?,
        lower => {
            let plain = without_underscores(lower)?;
            if !plain.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b)) {
                return None;
            }
            plain.parse().ok()?
        }
    };
    Some(if negative { -value } else { value })
}

fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (at, b) in bytes.iter().enumerate() {
        if *b == b'_' {
            let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
            if at == 0 || !digit(at - 1) || !digit(at + 1) {
                return None;
            }
        }
    }
    Some(text.replace('_', ""))
}

/// `1fp-16`: the mantissa must have an exponent.
fn parse_hexadecimal_float(text: &str) -> Option<f64> {
    let text = without_underscores(text.strip_prefix('_').unwrap_or(text))?;
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 13 {
        return None;
    }
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    Some(digits as f64 * 2f64.powi(exponent.checked_sub(4 * fraction.len() as i32)?))
}

/// Whether a text may name a label: not empty, and all UTF-8. Bytes that were none have become U+FFFD on unquoting, and
/// U+FFFD itself cannot be written in a query but by an escape that nobody needs.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

/// The text inside quotes, escapes resolved. The lexer has checked them; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn unquote(quoted: &str) -> String {
    let mut inner = quoted.chars();
    let open = inner.next();
    inner.next_back();
    let inner = inner.as_str();
    if open == Some('`') || !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let code = |chars: &mut std::str::Chars<'_>, digits: usize, base: u32, first: u32| {
            chars
                .take(digits)
                .fold(first, |value, c| value.wrapping_mul(base).wrapping_add(c.to_digit(base).unwrap_or(0)))
        };
        match chars.next() {
            Some('a') => bytes.push(7),
            Some('b') => bytes.push(8),
            Some('f') => bytes.push(12),
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('v') => bytes.push(11),
            Some('x') => bytes.push(code(&mut chars, 2, 16, 0) as u8),
            Some(c @ '0'..='7') => bytes.push(code(&mut chars, 2, 8, c as u32 - '0' as u32) as u8),
            Some(c @ ('u' | 'U')) => {
                let code = code(&mut chars, if c == 'u' { 4 } else { 8 }, 16, 0);
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {}
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let cases = [
            ("1", 1.0),
            ("0755", 493.0),
            ("0x1f", 31.0),
            ("1_000", 1000.0),
            ("1_000.5", 1000.5),
            ("+5.5e-3", 0.0055),
            ("09", 9.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-Inf", f64::NEG_INFINITY),
            ("1e999", f64::NAN),
        ];
        for (text, value) in cases {
            match parse_number(text) {
                Ok(got) => assert_eq!(got, value, "{text}"),
                Err(_) => assert!(value.is_nan(), "{text}"),
            }
        }
        assert!(parse_number("nan").is_ok_and(f64::is_nan));
        for text in ["", "1__0", "_1", "1_", "0x", "1e", "--1", "abc"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_are_undone() {
        assert_eq!(unquote(r#""a\tb\x41\101\u00e4\"""#), "a\tbAA\u{e4}\"");
        assert_eq!(unquote("`a\\n`"), "a\\n");
        assert_eq!(unquote(r#""\xff""#), "\u{fffd}");
    }
}
