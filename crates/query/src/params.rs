//! Parameters: times, lengths, limits, selectors, with the original's error texts.

use crate::error::ApiError;
use model::duration::parse_duration;
use model::{Matcher, Millis, TimeRange, Timestamp};
use net::form::Params;
use std::time::Duration;

/// What the original prints for its smallest and largest time, and accepts back.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// `time`, `start`, `end`: seconds with a fraction, or RFC 3339.
///
/// Numbers that no timestamp holds are refused (the original answers with a time of its own invention).
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let refused = || format!("cannot parse {} to a valid timestamp", model::go_text::quote(text));
    if let Some(seconds) = parse_go_float(text) {
        if !seconds.is_finite() || seconds.abs() >= (i64::MAX / 1000) as f64 {
            return Err(refused());
        }
        let whole = seconds.trunc();
        let millis = ((seconds - whole) * 1000.0).round();
        return Ok(Timestamp(whole as i64 * 1000 + millis as i64));
    }
    match text {
        MIN_TIME => Ok(Timestamp::MIN),
        MAX_TIME => Ok(Timestamp::MAX),
        _ => model::rfc3339::parse(text).ok_or_else(refused),
    }
}

/// `step`, `timeout`, `lookback_delta`: seconds with a fraction, or `1m30s`. In nanoseconds, as Go counts.
pub(crate) fn parse_length(text: &str) -> Result<i64, String> {
    let refused = || format!("cannot parse {} to a valid duration", model::go_text::quote(text));
    if let Some(seconds) = parse_go_float(text) {
        let nanos = seconds * 1e9;
        return if nanos.is_nan() {
            Err(refused())
        } else if nanos >= i64::MAX as f64 || nanos <= i64::MIN as f64 {
            Err(format!("{}. It overflows int64", refused()))
        } else {
            Ok(nanos as i64)
        };
    }
    let length = parse_duration(text).map_err(|_| refused())?;
    length.0.checked_mul(1_000_000).ok_or_else(refused)
}

/// `strconv.ParseFloat`, but for hexadecimal floats, which no client sends.
fn parse_go_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    // Go takes `_` between digits
    let digit_at = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let mut plain = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '_' if digit_at(at.checked_sub(1)) && digit_at(Some(at + 1)) => {}
            '_' => return None,
            c => plain.push(c),
        }
    }
    let value: f64 = plain.parse().ok()?;
    // too large is an error in Go, and infinity in Rust
    let spelt = plain.bytes().any(|b| b.is_ascii_digit());
    (!(value.is_infinite() && spelt)).then_some(value)
}

/// `limit`: 0 is none.
pub(crate) fn limit(params: &Params) -> Result<usize, ApiError> {
    let text = params.get("limit");
    if text.is_empty() {
        return Ok(0);
    }
    let number = atoi(text).map_err(|e| ApiError::parameter("limit", e))?;
    usize::try_from(number).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
}

/// Go's `strconv.Atoi`.
pub(crate) fn atoi(text: &str) -> Result<i64, String> {
    text.parse().map_err(|e: std::num::ParseIntError| {
        let what = match e.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {}: {what}", model::go_text::quote(text))
    })
}

/// A time that may be missing.
pub(crate) fn time_or(params: &Params, name: &str, default: Timestamp) -> Result<Timestamp, ApiError> {
    match params.get(name) {
        "" => Ok(default),
        text => parse_time(text)
            .map_err(|e| ApiError::parameter(name, format_args!("invalid time value for '{name}': {e}"))),
    }
}

/// `start` and `end`, both of which may be missing and count inclusively.
pub(crate) fn range(params: &Params) -> Result<TimeRange, ApiError> {
    let start = time_or(params, "start", Timestamp::MIN)?;
    let end = time_or(params, "end", Timestamp::MAX)?;
    Ok(TimeRange::closed(start, end))
}

/// Every `match[]`. The error is the bare text: the endpoints wrap it differently.
pub(crate) fn matcher_sets(params: &Params) -> Result<Vec<Vec<Matcher>>, String> {
    let parsed = params.all("match[]").map(|text| promql::syntax::parse_selector(text).map_err(|e| e.to_string()));
    let sets: Vec<Vec<Matcher>> = parsed.collect::<Result<_, String>>()?;
    if sets.iter().any(|matchers| matchers.iter().all(Matcher::matches_empty)) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(sets)
}

/// `timeout`, when given.
pub(crate) fn timeout(params: &Params) -> Result<Option<Duration>, ApiError> {
    match params.get("timeout") {
        "" => Ok(None),
        text => {
            let nanos = parse_length(text).map_err(|e| ApiError::parameter("timeout", e))?;
            Ok(Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))))
        }
    }
}

/// `lookback_delta`, when given and positive.
pub(crate) fn lookback(params: &Params) -> Result<Option<Millis>, ApiError> {
    match params.get("lookback_delta") {
        "" => Ok(None),
        text => {
            let nanos = parse_length(text)
                .map_err(|e| ApiError::bad_data(format!("error parsing lookback delta duration: {e}")))?;
            Ok(Some(Millis(nanos / 1_000_000)).filter(|length| length.0 > 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_both_forms() {
        let table = [
            ("4", Ok(4000)),
            ("1795262400.5", Ok(1_795_262_400_500)),
            ("1.0005", Ok(1000)),
            ("1.9999", Ok(2000)),
            ("-1.5", Ok(-1500)),
            ("1_000", Ok(1_000_000)),
            ("2026-11-21T12:00:00.5Z", Ok(1_795_262_400_500)),
            (MIN_TIME, Ok(i64::MIN)),
            (MAX_TIME, Ok(i64::MAX)),
            ("", Err("cannot parse \"\" to a valid timestamp")),
            ("abc", Err("cannot parse \"abc\" to a valid timestamp")),
            ("1e400", Err("cannot parse \"1e400\" to a valid timestamp")),
            ("NaN", Err("cannot parse \"NaN\" to a valid timestamp")),
            ("0x10", Err("cannot parse \"0x10\" to a valid timestamp")),
            ("_1", Err("cannot parse \"_1\" to a valid timestamp")),
            ("2026-11-21", Err("cannot parse \"2026-11-21\" to a valid timestamp")),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_time(text), wanted.map(Timestamp).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn lengths_in_both_forms() {
        let table = [
            ("0.5", Ok(500_000_000)),
            ("1m", Ok(60_000_000_000)),
            ("-1", Ok(-1_000_000_000)),
            ("x", Err("cannot parse \"x\" to a valid duration")),
            ("-1s", Err("cannot parse \"-1s\" to a valid duration")),
            ("1e18", Err("cannot parse \"1e18\" to a valid duration. It overflows int64")),
        ];
        for (text, wanted) in table {
            assert_eq!(parse_length(text), wanted.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn numbers_as_gos_atoi_refuses_them() {
        assert_eq!(atoi("-7"), Ok(-7));
        assert_eq!(atoi("x"), Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned()));
        assert_eq!(
            atoi("99999999999999999999"),
            Err("strconv.Atoi: parsing \"99999999999999999999\": value out of range".to_owned())
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String, number: f64) {
            for text in [text, number.to_string()] {
                let _ = (parse_time(&text), parse_length(&text), atoi(&text));
            }
        }
    }
}
