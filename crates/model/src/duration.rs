//! Lengths of time and sizes as configuration files write them: `1h30m`, `50MB`.
//!
//! Durations: `y w d h m s ms`, each at most once, from the biggest to the smallest; a year is 365 days, a day 24 hours;
//! `0` needs no unit. Limit: 2^63 nanoseconds (292 years), as Go's `time.Duration`.
//! Sizes: powers of 1024 whatever the unit is called (`KB` = `KiB` = 1024), fractions allowed.

use crate::go_text::quote;
use crate::time::Millis;
use thiserror::Error;

/// Why a duration or a size was refused; the original's words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UnitError(String);

const UNITS_MS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Go's `time.Duration` counts nanoseconds in an i64.
const MILLIS_MAX: u64 = (i64::MAX / 1_000_000) as u64;

/// Parses a duration such as `1h30m`.
pub fn parse_duration(text: &str) -> Result<Millis, UnitError> {
    let invalid = || UnitError(format!("not a valid duration string: {}", quote(text)));
    match text {
        "" => return Err(UnitError("empty duration string".to_owned())),
        "0" => return Ok(Millis(0)),
        _ => {}
    }
    let mut rest = text;
    let mut sum = 0u64;
    let mut units_left = &UNITS_MS[..];
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        rest = &rest[letters..];
        if unit.is_empty() {
            return Err(invalid());
        }
        if !UNITS_MS.iter().any(|(name, _)| *name == unit) {
            return Err(UnitError(format!("unknown unit {} in duration {}", quote(unit), quote(text))));
        }
        let at = units_left.iter().position(|(name, _)| *name == unit).ok_or_else(invalid)?;
        let length = units_left[at].1;
        units_left = &units_left[at + 1..];
        sum = count
            .checked_mul(length)
            .and_then(|ms| sum.checked_add(ms))
            .filter(|ms| *ms <= MILLIS_MAX)
            .ok_or_else(|| UnitError("duration out of range".to_owned()))?;
    }
    Ok(Millis(sum as i64))
}

/// Writes a duration as the originals do: years and weeks only when nothing is left over, `0s` for none.
pub fn format_duration(length: Millis) -> String {
    if length.0 == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if length.0 < 0 {
        text.push('-');
    }
    let mut left = length.0.unsigned_abs();
    for (name, unit) in UNITS_MS {
        let exact_only = matches!(name, "y" | "w");
        if exact_only && !left.is_multiple_of(unit) {
            continue;
        }
        if left / unit > 0 {
            text.push_str(itoa::Buffer::new().format(left / unit));
            text.push_str(name);
            left %= unit;
        }
    }
    text
}

const SIZE_LETTERS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// Parses a size such as `50MB` into bytes.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let invalid = || UnitError(format!("units: invalid {text}"));
    if text == "0" {
        return Ok(0);
    }
    if text.is_empty() {
        return Err(invalid());
    }
    let mut rest = text;
    let mut sum = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..digits];
        rest = &rest[digits..];
        if number.is_empty() || number == "." {
            return Err(invalid());
        }
        let letters = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        rest = &rest[letters..];
        let factor = size_unit(unit).ok_or_else(|| UnitError(format!("units: unknown unit {unit} in {text}")))?;
        let overflow = || UnitError("units: overflow parsing unit".to_owned());
        let bytes = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(factor).ok_or_else(overflow)?,
            Err(_) => {
                let bytes = number.parse::<f64>().map_err(|_| invalid())? * factor as f64;
                if bytes >= i64::MAX as f64 {
                    return Err(overflow());
                }
                bytes as u64
            }
        };
        sum = sum.checked_add(bytes).filter(|sum| i64::try_from(*sum).is_ok()).ok_or_else(overflow)?;
    }
    Ok(sum)
}

fn size_unit(unit: &str) -> Option<u64> {
    if unit == "B" {
        return Some(1);
    }
    let letter = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B'))?;
    let power = SIZE_LETTERS.iter().position(|known| letter.chars().eq([*known]))?;
    Some(1 << (10 * (power + 1)))
}

/// Writes a size as the originals do: `50MiB`, `1KiB512B`.
pub fn format_bytes(bytes: u64) -> String {
    let mut text = String::new();
    let mut left = bytes;
    for (power, letter) in SIZE_LETTERS.iter().enumerate().rev() {
        let unit = 1u64 << (10 * (power + 1));
        if left / unit > 0 {
            text.push_str(&format!("{}{letter}iB", left / unit));
            left %= unit;
        }
    }
    if left > 0 || text.is_empty() {
        text.push_str(&format!("{left}B"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("0w", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3_000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("1h30m", 5_400_000, "1h30m"),
            ("4d", 345_600_000, "4d"),
            ("4d1h", 349_200_000, "4d1h"),
            ("14d", 1_209_600_000, "2w"),
            ("3w", 1_814_400_000, "3w"),
            ("3w2d1h", 1_990_800_000, "23d1h"),
            ("10y", 315_360_000_000, "10y"),
            ("90m", 5_400_000, "1h30m"),
        ] {
            assert_eq!(parse_duration(text), Ok(Millis(ms)), "{text}");
            assert_eq!(format_duration(Millis(ms)), printed, "{text}");
        }
        assert_eq!(format_duration(Millis(-5_400_000)), "-1h30m");
    }

    #[test]
    fn bad_durations_are_refused_in_the_originals_words() {
        for (text, error) in [
            ("", "empty duration string"),
            ("1", "not a valid duration string: \"1\""),
            ("1y1m1d", "not a valid duration string: \"1y1m1d\""),
            ("-1w", "not a valid duration string: \"-1w\""),
            ("1.5d", "unknown unit \".\" in duration \"1.5d\""),
            ("d", "not a valid duration string: \"d\""),
            ("1x", "unknown unit \"x\" in duration \"1x\""),
            ("294y", "duration out of range"),
            ("200y10400w", "duration out of range"),
            ("9223372036854775808ms", "duration out of range"),
        ] {
            assert_eq!(parse_duration(text).map_err(|e| e.to_string()), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes, printed) in [
            ("0", 0, "0B"),
            ("0B", 0, "0B"),
            ("50MB", 50 << 20, "50MiB"),
            ("50MiB", 50 << 20, "50MiB"),
            ("1.5KB", 1536, "1KiB512B"),
            ("1GB512MB", (1 << 30) + (512 << 20), "1GiB512MiB"),
            ("2EB", 2 << 60, "2EiB"),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
            assert_eq!(format_bytes(bytes), printed, "{text}");
        }
        for (text, error) in [
            ("", "units: invalid "),
            ("MB", "units: invalid MB"),
            ("-1MB", "units: invalid -1MB"),
            ("100", "units: unknown unit  in 100"),
            ("1XB", "units: unknown unit XB in 1XB"),
            ("9EB", "units: overflow parsing unit"),
        ] {
            assert_eq!(parse_bytes(text).map_err(|e| e.to_string()), Err(error.to_owned()), "{text}");
        }
    }
}
