//! Values of sample lines: floats and timestamps with Go's idea of what a number is.
//!
//! Whole numbers of up to 15 digits (most counters) take a multiply and an add per digit; eight at a time by SWAR when
//! there are so many.

use crate::exposition::shown::shown;

/// Ten to the fifteenth is the last power of ten below 2^53: so many digits are exact whatever they are.
const WHOLE_DIGITS_MAX: usize = 15;

/// Parses a sample's value; every NaN becomes the ordinary one. The error is the original's text.
pub fn parse_value(text: &[u8]) -> Result<f64, String> {
    if let Some(whole) = parse_whole(text) {
        return Ok(whole);
    }
    if text.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err("unsupported character in float".to_owned());
    }
    let failed = |why: &str| Err(format!("strconv.ParseFloat: parsing {}: {why}", shown(text)));
    match parse_float(text) {
        Some(value) if value.is_nan() => Ok(f64::from_bits(model::sample::NORMAL_NAN_BITS)),
        Some(value) if value.is_infinite() && text.iter().any(u8::is_ascii_digit) => failed("value out of range"),
        Some(value) => Ok(value),
        None => failed("invalid syntax"),
    }
}

/// A float as Go's `strconv.ParseFloat` reads it, hexadecimal ones left out. Numbers too big become infinite.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    // Go takes no sign before "nan"
    if text.len() == 4 && matches!(text[0], b'+' | b'-') && text[1..].eq_ignore_ascii_case(b"nan") {
        return None;
    }
    fast_float2::parse(text).ok()
}

/// Parses a timestamp in milliseconds; digits only, as the original's lexer lets nothing else through.
pub fn parse_timestamp(digits: &[u8]) -> Result<i64, String> {
    let number = digits.iter().try_fold(0i64, |sum, byte| sum.checked_mul(10)?.checked_add(i64::from(byte - b'0')));
    number.ok_or_else(|| format!("strconv.ParseInt: parsing {}: value out of range", shown(digits)))
}

fn parse_whole(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > WHOLE_DIGITS_MAX {
        return None;
    }
    let mut number = 0u64;
    let mut rest = text;
    if let Some((head, tail)) = rest.split_first_chunk::<8>() {
        number = eight_digits(u64::from_le_bytes(*head))?;
        rest = tail;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number as f64)
}

/// Eight ASCII digits, the first in the lowest byte, as a number: three multiplications instead of eight.
fn eight_digits(bytes: u64) -> Option<u64> {
    let high_nibbles = bytes & 0xf0f0_f0f0_f0f0_f0f0;
    let carried = bytes.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    if high_nibbles != 0x3030_3030_3030_3030 || carried != 0x3030_3030_3030_3030 {
        return None;
    }
    let ones = bytes & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (ones.wrapping_mul(10 * 256 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 * 65_536 + 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000 * (1 << 32) + 1) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whole_numbers_are_exact(number in 0u64..1_000_000_000_000_000_000) {
            let text = number.to_string();
            prop_assert_eq!(parse_value(text.as_bytes()), Ok(text.parse::<f64>().expect("digits")));
        }

        #[test]
        fn floats_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [model::go_text::format_float(value), model::go_text::format_float_general(value)] {
                prop_assert_eq!(parse_value(text.as_bytes()).map(f64::to_bits), Ok(bits), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_a_number_or_an_error(text in "[0-9.eE+\\-infaNpx_]{0,20}") {
            if let Ok(value) = parse_value(text.as_bytes()) {
                prop_assert_eq!(text.parse::<f64>().map(f64::is_nan), Ok(value.is_nan()));
            }
        }
    }
}
